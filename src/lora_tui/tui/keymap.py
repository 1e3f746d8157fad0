"""The one registry of what keys do. Bindings, hints, help and the person's own keymap all come from it.

An action's id begins with the place it works in: a screen ('sessions.accept'), a widget ('list.down') or 'app' for
everywhere. A screen's binding wins over the app's: on Sessions the digits are languages, elsewhere they are screens.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from textual.binding import Binding, BindingType

from lora_tui.workspace.errors import BadInput


class Action(msgspec.Struct, frozen=True):
    """One thing a key does. `do` is the Textual action; `hint` puts it in the bottom line."""

    id: str
    keys: str
    label: str
    help: str
    do: str
    hint: bool = False

    @property
    def place(self) -> str:
        """The screen or widget it works in, or 'app'."""
        return self.id.partition(".")[0]


ACTIONS: tuple[Action, ...] = (
    Action("app.home", "f12", "home", "Go to Home.", "app.go('home')"),
    Action("app.sessions", "f2,1", "sessions", "Go to Sessions.", "app.go('sessions')"),
    Action("app.dataset", "f3,2", "dataset", "Go to Dataset.", "app.go('dataset')"),
    Action("app.train", "f4,3", "train", "Go to Train.", "app.go('train')"),
    Action("app.monitor", "f5,4", "monitor", "Go to Monitor.", "app.go('monitor')"),
    Action("app.adapters", "f6,5", "adapters", "Go to Adapters.", "app.go('adapters')"),
    Action("app.verify", "f7,6", "verify", "Go to Verify.", "app.go('verify')"),
    Action("app.help", "question_mark,f1", "help", "Show the keys of this screen.", "app.help", hint=True),
    Action("app.palette", "ctrl+p,colon", "commands", "Find a command by name.", "app.command_palette"),
    Action("app.back", "q", "back", "Go back; on Home, leave.", "app.back"),
    Action("app.quit", "ctrl+q", "quit", "Leave. Runs go on without the app.", "app.quit"),
    Action("app.suspend", "ctrl+z", "suspend", "Put the app aside; `fg` brings it back.", "app.suspend_process"),
    Action("list.down", "j,down", "down", "Next row.", "move(1)"),
    Action("list.up", "k,up", "up", "Previous row.", "move(-1)"),
    Action("list.first", "g,home", "first", "First row.", "first"),
    Action("list.last", "G,end", "last", "Last row.", "last"),
    Action("list.page_down", "pagedown,ctrl+f", "page down", "One page down.", "page(1.0)"),
    Action("list.page_up", "pageup", "page up", "One page up.", "page(-1.0)"),
    Action("list.half_down", "ctrl+d", "half down", "Half a page down.", "page(0.5)"),
    Action("list.half_up", "ctrl+u", "half up", "Half a page up.", "page(-0.5)"),
    Action("transcript.down", "j,down", "down", "One line down.", "line(1)"),
    Action("transcript.up", "k,up", "up", "One line up.", "line(-1)"),
    Action("transcript.first", "g,home", "top", "To the top.", "first"),
    Action("transcript.last", "G,end", "end", "To the end.", "last"),
    Action("transcript.page_down", "pagedown,ctrl+f", "page down", "One page down.", "page(1.0)"),
    Action("transcript.page_up", "pageup,ctrl+b", "page up", "One page up.", "page(-1.0)"),
    Action("transcript.half_down", "ctrl+d", "half down", "Half a page down.", "page(0.5)"),
    Action("transcript.half_up", "ctrl+u", "half up", "Half a page up.", "page(-0.5)"),
    Action("transcript.unfold", "z", "unfold", "Show long outputs whole, or fold them again.", "unfold"),
    Action("home.next", "enter", "next step", "Go where the next step is.", "next", hint=True),
    Action("home.ingest", "i", "read history", "Read what your coding agent recorded.", "ingest", hint=True),
    Action("home.mine", "m", "mine git", "Make examples of a repository's commits.", "mine", hint=True),
    Action("home.cycle", "c", "cycle", "From what is new to a promoted version, if it is better.", "cycle"),
    Action("home.demo", "d", "demo", "Run the whole loop on bundled sessions.", "demo", hint=True),
    Action("home.refresh", "r", "refresh", "Count again.", "refresh"),
    Action("sessions.accept", "a", "accept", "Accept this example, go to the next.", "decide('accept')", hint=True),
    Action("sessions.reject", "x", "reject", "Reject this example, go to the next.", "decide('reject')", hint=True),
    Action("sessions.skip", "space", "skip", "Skip this example, go to the next.", "decide('skip')"),
    Action("sessions.undo", "u", "undo", "Take back the last decision; no limit.", "undo", hint=True),
    *(
        Action(
            f"sessions.language{digit}",
            str(digit),
            f"language {digit}",
            f"It is about language {digit} of config.toml; go to the next.",
            f"language({digit})",
        )
        for digit in range(1, 10)
    ),
    Action("sessions.flag", "f", "flag", "Flag this example (or unflag it), go to the next.", "flag"),
    Action("sessions.edit", "e", "edit", "Edit the messages in $EDITOR; the original stays.", "edit"),
    Action("sessions.note", "n", "note", "Write a note on this example.", "note"),
    Action("sessions.tag", "t", "tag", "Tag this example, or take a tag away.", "tag"),
    Action("sessions.read", "enter", "read", "Open or close the conversation.", "read", hint=True),
    Action("sessions.compare", "d", "compare", "What was recorded beside what you edited.", "compare"),
    Action("sessions.search", "slash", "search", "Search in all text.", "search", hint=True),
    Action("sessions.queue", "Q", "queue", "Freeze this list as a queue, or go on with one.", "queue", hint=True),
    Action("sessions.bulk", "B", "all of these", "Decide about all that this filter shows, after a look.", "bulk"),
    Action("sessions.twins", "D", "near-duplicates", "List the near-duplicates of this one; esc returns.", "twins"),
    Action("sessions.progress", "p", "progress", "Targets, pace, agreement with others.", "progress"),
    Action("sessions.label_filter", "l", "label filter", "Next label filter: unlabelled, …", "narrow('label')"),
    Action("sessions.language_filter", "L", "language filter", "Choose a language to list.", "choose('language')"),
    Action("sessions.facet_filter", "F", "more filters", "Outcome, model, tag, secrets, …", "choose('facet')"),
    Action("sessions.source_filter", "o", "source filter", "Next source.", "cycle_source"),
    Action("sessions.confidence_filter", "c", "confidence", "Next confidence range.", "narrow('confidence')"),
    Action("sessions.order", "s", "order", "Uncertain, disagreeing, rarest, longest first, …", "choose('order')"),
    Action("sessions.clear", "escape", "clear", "Close what is open; else go back, or clear the filter.", "clear"),
    Action("sessions.refresh", "r", "refresh", "Apply the filter again.", "refresh"),
    Action("sessions.unfold", "z", "unfold", "Show long outputs whole, or fold them again.", "unfold_reader"),
    Action("sessions.scroll_down", "J", "scroll down", "Scroll the conversation down.", "scroll_reader(1)"),
    Action("sessions.scroll_up", "K", "scroll up", "Scroll the conversation up.", "scroll_reader(-1)"),
    Action("dataset.profile", "p", "profile", "Count against the next profile's target.", "next_profile", hint=True),
    Action("dataset.build", "b", "build", "Build the next version from the accepted examples.", "build", hint=True),
    Action("dataset.open", "enter", "open", "Open a version: its rows, its tokens, its audit.", "open", hint=True),
    Action("dataset.count", "i", "statistics", "Roles, what is alike, what of the suite it covers.", "count"),
    Action("dataset.compare", "d", "compare", "What changed since another version.", "compare", hint=True),
    Action("dataset.export", "x", "export", "Write a version for other tools.", "export", hint=True),
    Action("dataset.import", "I", "import", "Make a version of a file of conversations.", "import"),
    Action("dataset.left_out", "l", "left out", "What a version left out, and why.", "left_out"),
    Action("dataset.verify", "v", "check", "Is a version still what was built?", "verify"),
    Action("dataset.stop", "S", "stop", "Stop the build, the import or the export.", "stop"),
    Action("dataset.read", "tab", "read", "Read the version's page, or go back to the list.", "read"),
    Action("dataset.close", "escape", "close", "Back to the list of versions.", "close"),
    Action("dataset.refresh", "r", "refresh", "Count again.", "refresh"),
    Action("version.read", "enter", "read", "Open or close the row.", "read", hint=True),
    Action("version.tokens", "t", "tokens", "The row token by token, or as a conversation.", "tokens", hint=True),
    Action("version.audit", "a", "audit", "Count and check with the model's own template.", "audit", hint=True),
    Action("version.findings", "f", "findings", "List the rows that a finding names.", "findings", hint=True),
    Action("version.model", "m", "model", "Whose tokenizer, template and max_length.", "model", hint=True),
    Action("version.split", "s", "split", "Next split: all, train, validation, test.", "next_split"),
    Action("version.search", "slash", "search", "List the rows that hold some words.", "search", hint=True),
    Action("version.next_finding", "n", "next finding", "The next row that a finding names.", "next_finding"),
    Action("version.stop", "S", "stop", "Stop the audit.", "stop"),
    Action("version.scroll_down", "J", "scroll down", "Scroll the row down.", "scroll_row(1)"),
    Action("version.scroll_up", "K", "scroll up", "Scroll the row up.", "scroll_row(-1)"),
    Action("version.unfold", "z", "unfold", "Show long outputs whole, or fold them again.", "unfold_row"),
    Action("version.clear", "escape", "clear", "Close what is open; else clear the filter, or go back.", "clear"),
    Action("version.back", "q", "back", "Back to the versions.", "leave"),
    Action("train.start", "s,enter", "start", "Start what the plan shows, and watch it.", "start", hint=True),
    Action("train.probe", "t", "try a step", "Take one real step and measure it.", "probe", hint=True),
    Action("train.fit", "f", "make it fit", "Change what makes the run fit this machine.", "make_fit"),
    Action("train.go_on", "o", "go on from", "Go on from an adapter, or begin a fresh one.", "go_on"),
    Action(
        "train.preset", "p", "preset", "Lay a preset over the profile: quick, stable, your own.", "preset", hint=True
    ),
    Action("train.where", "b", "where", "Choose where: here, Together, rented, your host.", "where", hint=True),
    Action("train.ways", "e", "ways", "Every way in full: sources, arithmetic, set-up; asks live prices.", "ways"),
    Action("train.sweep", "w", "sweep", "Try several settings, one run after another, and compare.", "sweep"),
    Action("train.new", "n", "new adapter", "Write a profile of your own from this one.", "new_adapter"),
    Action("train.other", "tab", "other list", "From profiles to datasets and back.", "other_list", hint=True),
    Action("train.scroll_down", "J", "scroll down", "Scroll the plan down.", "scroll_plan(1)"),
    Action("train.scroll_up", "K", "scroll up", "Scroll the plan up.", "scroll_plan(-1)"),
    Action("train.refresh", "r", "plan again", "Read profiles and datasets, and plan again.", "refresh"),
    Action("monitor.pause", "p", "pause", "Wait after this step, or go on; of a playback, too.", "pause", hint=True),
    Action("monitor.stop", "s", "stop", "Stop with a checkpoint, within one step.", "stop", hint=True),
    Action("monitor.checkpoint", "c", "checkpoint", "Write a checkpoint after this step.", "checkpoint", hint=True),
    Action("monitor.resume", "r", "resume", "Go on, or from the last checkpoint.", "resume", hint=True),
    Action("monitor.chart", "t", "chart", "The next chart: eval loss, rate, gradient, …", "chart(1)", hint=True),
    Action("monitor.chart_back", "T", "chart back", "The chart before.", "chart(-1)"),
    Action("monitor.cursor_left", "left", "read left", "Read the values further left; step back.", "cursor(-1)"),
    Action("monitor.cursor_right", "right", "read right", "Read the values further right; step on.", "cursor(1)"),
    Action("monitor.jump_left", "H,shift+left", "jump left", "Ten times as far left.", "cursor(-10)"),
    Action("monitor.jump_right", "L,shift+right", "jump right", "Ten times as far right.", "cursor(10)"),
    Action("monitor.zoom_in", "plus,equals_sign", "zoom in", "Show half as many steps.", "zoom(0.5)"),
    Action("monitor.zoom_out", "minus", "zoom out", "Show twice as many steps.", "zoom(2.0)"),
    Action("monitor.pan_left", "left_square_bracket", "pan left", "Earlier steps.", "pan(-0.5)"),
    Action("monitor.pan_right", "right_square_bracket", "pan right", "Later steps.", "pan(0.5)"),
    Action("monitor.log_scale", "y", "log scale", "A logarithmic axis, or a linear one again.", "log_scale"),
    Action("monitor.large", "z", "chart alone", "The chart alone, or all panels again.", "large"),
    Action("monitor.fit", "escape", "all again", "The whole run, without cursor, zoom and playback.", "fit"),
    Action("monitor.mark", "space", "overlay", "Lay this run's curve over the other marked ones.", "mark"),
    Action("monitor.unmark", "u", "one run", "Overlay none; one run at a time again.", "unmark"),
    Action("monitor.replay", "R", "replay", "Play the run back from its beginning, or end that.", "replay"),
    Action("monitor.slower", "less_than_sign", "slower", "Play back slower.", "speed(-1)"),
    Action("monitor.faster", "greater_than_sign", "faster", "Play back faster, up to 1000×.", "speed(1)"),
    Action("monitor.panel", "o", "answers", "Answers instead of the log, or the log again.", "other_panel", hint=True),
    Action("monitor.prompt", "n", "next prompt", "The answers to the next prompt.", "prompt"),
    Action("monitor.answers", "a", "all answers", "Every answer to every prompt, on a page.", "answers"),
    Action("monitor.verify", "v,enter", "verify", "Compare the run's adapter with its base.", "verify", hint=True),
    Action("monitor.kill", "K", "kill", "End the run at once, after asking.", "kill"),
    Action("monitor.attach", "A", "attach", "Watch what lies elsewhere, or another program trains.", "attach"),
    Action("monitor.forget", "F", "forget", "No longer watch what was attached.", "forget"),
    Action("monitor.next", "tab", "next run", "The next run.", "choose(1)"),
    Action("monitor.previous", "shift+tab", "previous run", "The previous run.", "choose(-1)"),
    Action("adapters.read", "enter", "read", "Read the version, or go back to the list.", "read", hint=True),
    Action("adapters.mark", "space", "mark", "Mark it, to merge, compare, serve or export several.", "mark", hint=True),
    Action("adapters.merge", "m", "merge", "Merge the marked versions into a new one.", "merge", hint=True),
    Action("adapters.promote", "p", "promote", "Make it what its name means, for everybody.", "promote", hint=True),
    Action("adapters.verify", "V", "verify", "Compare it with its base, under Verify.", "verify", hint=True),
    Action(
        "adapters.export",
        "e",
        "export",
        "Write it for other programs: merged, GGUF, Ollama, vLLM.",
        "export",
        hint=True,
    ),
    Action("adapters.serve", "S", "serve", "Serve it or the marked ones; stop what is served.", "serve", hint=True),
    Action("adapters.rollback", "R", "rollback", "Make its name mean the version before.", "rollback"),
    Action("adapters.serving", "s", "figures", "What each served version answered, or the sets alone.", "serving"),
    Action("adapters.opencode", "o", "opencode", "Put it or the marked ones into opencode's settings.", "opencode"),
    Action("adapters.alias", "a", "alias", "Point an alias to it, take one away, or tag it.", "alias"),
    Action("adapters.check", "v", "check", "Is it still what was registered? Files, weights, metadata.", "check"),
    Action("adapters.diff", "d", "compare", "What the two marked versions differ in.", "diff"),
    Action("adapters.import", "i", "import", "Take in an adapter that lies elsewhere.", "import"),
    Action("adapters.remove", "x", "remove", "Remove it, after asking; its number stays taken.", "remove"),
    Action("adapters.unmark", "u", "unmark", "Mark none.", "unmark"),
    Action("adapters.search", "slash", "filter", "Show the versions that some words name.", "search"),
    Action("adapters.other", "tab", "other pane", "From the list to the version and back.", "read"),
    Action("adapters.scroll_down", "J", "scroll down", "Scroll the version down.", "scroll_detail(1)"),
    Action("adapters.scroll_up", "K", "scroll up", "Scroll the version up.", "scroll_detail(-1)"),
    Action("adapters.close", "escape", "close", "Close what is open, the filter, the marks.", "close"),
    Action("adapters.refresh", "r", "refresh", "Read the registry again.", "refresh"),
    Action("adapters.stop", "c", "stop", "Stop the merge or the export that works.", "stop"),
    Action("merge.start", "ctrl+s", "merge", "Start what the plan shows.", "start", hint=True),
    Action("merge.next", "tab,down", "next field", "The next field; then the plan.", "app.focus_next", hint=True),
    Action("merge.previous", "shift+tab,up", "field before", "The field before.", "app.focus_previous"),
    Action("merge.leave", "escape", "back", "Back to the versions; nothing is merged.", "leave", hint=True),
    Action("choice.previous", "left", "word before", "The choice before.", "turn(-1)"),
    Action("choice.next", "right,space", "next word", "The next choice.", "turn(1)"),
    Action("verify.start", "s", "start", "Ask every prompt of both sides.", "start", hint=True),
    Action("verify.read", "enter", "read", "Give the answers the whole window, or the list its place again.", "read"),
    Action("verify.side", "tab", "other side", "The next side's answer.", "other_side", hint=True),
    Action("verify.earlier_sample", "left,h", "sample before", "The sample before.", "sample(-1)"),
    Action("verify.later_sample", "right,l", "next sample", "The next sample of this prompt.", "sample(1)"),
    Action("verify.down", "J", "scroll down", "Scroll the answers down.", "scroll_answers(1)"),
    Action("verify.up", "K", "scroll up", "Scroll the answers up.", "scroll_answers(-1)"),
    Action("verify.marks", "d", "differences", "Mark the words that differ, or do not.", "marks"),
    Action("verify.vote", "v", "vote blind", "Vote on answers without knowing whose they are.", "vote", hint=True),
    Action("verify.again", "r", "ask again", "Have this one prompt asked again of every side.", "ask_again"),
    Action("verify.free", "f", "free prompt", "Ask both sides a prompt of your own.", "ask_free", hint=True),
    Action("verify.note", "n", "note", "Write a note on this prompt.", "note"),
    Action("verify.lessons", "w", "what lacks", "What training lacks for this prompt, and what to label.", "lessons"),
    Action("verify.language", "L", "language", "List one language, or one after another.", "choose_language"),
    Action("verify.about", "i", "all of it", "The report's figures: sides, gates, languages, noise.", "about"),
    Action("verify.suite", "c", "suite", "Choose the suite.", "choose_suite"),
    Action("verify.baseline", "b", "baseline", "Choose the baseline.", "choose_side('baseline')"),
    Action("verify.tuned", "t", "fine-tune", "Choose the fine-tune.", "choose_side('tuned')"),
    Action("verify.options", "m", "more", "Samples, temperature, gates, further endpoints.", "options"),
    Action("verify.open", "o", "earlier", "Open an earlier comparison.", "open_earlier", hint=True),
    Action("verify.report", "escape", "the report", "From a free prompt back to the comparison before.", "leave_free"),
    Action("verify.stop", "S", "stop", "Stop the comparison; s goes on with it.", "stop"),
    Action("blind.first", "1", "first", "The first answer is better.", "vote('first')", hint=True),
    Action("blind.second", "2", "second", "The second answer is better.", "vote('second')", hint=True),
    Action("blind.equal", "equals_sign", "as good", "Both are as good.", "vote('equal')", hint=True),
    Action("blind.bad", "0", "both bad", "Neither is any good.", "vote('bad')", hint=True),
    Action("blind.undo", "u", "undo", "Take your last vote back.", "undo"),
    Action("blind.other", "tab", "other answer", "The other answer (at 80 columns).", "other", hint=True),
    Action("blind.next", "right,j,down", "next pair", "The next pair, without a vote.", "go(1)"),
    Action("blind.previous", "left,k,up", "pair before", "The pair before.", "go(-1)"),
    Action("blind.down", "J", "scroll down", "Scroll the answers down.", "scroll_answers(1)"),
    Action("blind.up", "K", "scroll up", "Scroll the answers up.", "scroll_answers(-1)"),
    Action("blind.leave", "escape,q", "back", "Back to the comparison; votes are kept.", "leave", hint=True),
    Action("verify.suites", "e", "suites", "Look at the suites, change one, begin one.", "app.push_screen('suites')"),
    Action(
        "suites.open", "enter", "open", "Open it: its prompts, and what their answers must show.", "open", hint=True
    ),
    Action("suites.new", "n", "new", "Begin a suite of your own.", "new", hint=True),
    Action("suites.held", "h", "held-out", "Make one of a dataset's test examples.", "held", hint=True),
    Action("suites.check", "c", "check", "What is wrong with it; what cannot be judged here.", "check", hint=True),
    Action("suites.leave", "escape,q", "back", "Back to the comparisons.", "leave", hint=True),
    Action(
        "suite.edit", "e,enter", "edit", "Change the prompt, or the expectation in the lower list.", "edit", hint=True
    ),
    Action("suite.add", "a", "add", "Add a prompt, or an expectation in the lower list.", "add", hint=True),
    Action("suite.copy", "d", "duplicate", "Put a copy behind it.", "copy"),
    Action("suite.remove", "x", "remove", "Remove it; u takes that back.", "remove", hint=True),
    Action("suite.try", "t", "try", "Try the expectations on an answer that you type.", "try", hint=True),
    Action("suite.save", "s,ctrl+s", "save", "Save it; a shipped suite as your own copy.", "save", hint=True),
    Action("suite.undo", "u", "undo", "Take back the last change; no limit.", "undo", hint=True),
    Action("suite.other", "tab", "other list", "From the prompts to the expectations and back.", "other"),
    Action("suite.check", "c", "check", "What is wrong with what would be saved.", "check"),
    Action("suite.editor", "E", "in $EDITOR", "Change the file itself in your editor.", "editor"),
    Action("suite.down", "J", "scroll down", "Scroll the prompt down.", "scroll_prompt(1)"),
    Action("suite.up", "K", "scroll up", "Scroll the prompt up.", "scroll_prompt(-1)"),
    Action("suite.leave", "escape,q", "back", "Back to the suites.", "leave"),
    Action("expectation.kinds", "f2", "types", "Choose the type from a list.", "kinds", hint=True),
    Action("trial.run", "ctrl+r", "run", "Run the answer's code in the sandbox.", "run", hint=True),
    Action("form.write", "ctrl+s", "write", "Write what the form says.", "write", hint=True),
    Action("dialog.close", "escape,q", "close", "Close.", "close", hint=True),
    Action("dialog.copy", "c", "copy", "Copy the text to the clipboard of your terminal.", "copy"),
)

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "escape": "esc",
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left": "←",
    "right": "→",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "down": "↓",
    "up": "↑",
}


def actions(place: str) -> list[Action]:
    """The actions of one place, in the order of the table."""
    return [action for action in ACTIONS if action.place == place]


def bindings(place: str) -> list[BindingType]:
    """The bindings of one screen or widget, for its BINDINGS."""
    return [
        Binding(
            action.keys,
            action.do,
            action.label,
            show=False,
            id=action.id,
            tooltip=action.help,
            priority=action.id == "app.quit",
        )
        for action in actions(place)
    ]


def keys_of(action: Action, keymap: Mapping[str, str]) -> list[str]:
    """The action's keys as a person reads them, with the person's own keymap applied."""
    return [_NAMES.get(key.strip(), key.strip()) for key in keymap.get(action.id, action.keys).split(",")]


def checked(keymap: Mapping[str, str]) -> dict[str, str]:
    """A person's keymap ("sessions.accept" = "a,y"). Raises BadInput for an unknown id or a key given twice."""
    known = {action.id for action in ACTIONS}
    for identity, keys in keymap.items():
        if identity not in known:
            place = identity.partition(".")[0]
            near = ", ".join(action.id for action in actions(place)) or "see the help screen (?)"
            raise BadInput(f"keymap: there is no action {identity!r}", where="config.toml", fix=f"Known: {near}.")
        if not all(key.strip() for key in keys.split(",")):
            raise BadInput(f"keymap: {identity} has an empty key", where="config.toml", fix='Write them as "a,ctrl+r".')
    taken: dict[tuple[str, str], str] = {}
    for action in ACTIONS:
        for key in keys_of(action, keymap):
            other = taken.setdefault((action.place, key), action.id)
            if other != action.id and (action.id in keymap or other in keymap):
                raise BadInput(
                    f"keymap: {key!r} is given to both {other} and {action.id}",
                    where="config.toml",
                    fix="Give one of them another key.",
                )
    return dict(keymap)
