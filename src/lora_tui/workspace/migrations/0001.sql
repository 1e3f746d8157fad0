-- Conversations as their source stored them, rebuilt as chat messages.
CREATE TABLE session (
    id          INTEGER PRIMARY KEY,
    source      TEXT NOT NULL,              -- 'opencode'
    native_id   TEXT NOT NULL,              -- the source's own id
    parent      TEXT,                       -- native_id of the session that delegated this one
    title       TEXT NOT NULL,
    directory   TEXT NOT NULL,
    agent       TEXT,
    model       TEXT,                       -- 'provider/model' that wrote most of it
    version     TEXT,                       -- the agent program's version
    created     INTEGER NOT NULL,           -- epoch milliseconds
    updated     INTEGER NOT NULL,
    origin      TEXT NOT NULL,              -- file it was read from
    fingerprint TEXT NOT NULL,              -- changes when the source's rows change
    curated     TEXT NOT NULL DEFAULT '',   -- the fingerprint its examples were made from; differs while they are due
    messages    INTEGER NOT NULL,
    UNIQUE (source, native_id)
);
CREATE INDEX session_parent ON session (source, parent) WHERE parent IS NOT NULL;

CREATE TABLE message (
    session_id INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    body       BLOB NOT NULL,               -- JSON of sources.model.Message
    PRIMARY KEY (session_id, seq)
);

-- Training candidates: one segment of a session each.
CREATE TABLE example (
    id           INTEGER PRIMARY KEY,
    session_id   INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    native_id    TEXT NOT NULL,             -- the user message the segment begins with
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    key          TEXT NOT NULL,             -- hash of the content; a label is given for one content
    request      TEXT NOT NULL,             -- the user's own words, first line, for lists
    language     TEXT NOT NULL,             -- the machine's label: a language, 'none' or 'mixed'
    confidence   REAL NOT NULL,
    verdict      BLOB NOT NULL,             -- JSON of curation.classify.Verdict
    agent        TEXT,
    model        TEXT,
    turns        INTEGER NOT NULL,          -- assistant messages
    characters   INTEGER NOT NULL,
    created      INTEGER NOT NULL,          -- of its last message, epoch milliseconds
    dropped      TEXT,                      -- why it is no candidate: 'duplicate', 'empty', …; NULL if it is one
    duplicate_of INTEGER REFERENCES example (id),
    doc          INTEGER,                   -- its row in example_text; a changed example gets a new one
    -- What the labels of this example add up to now; derived from the label table, kept for filters.
    decision       TEXT,                    -- 'accept', 'reject', 'skip' or NULL
    human_language TEXT,
    flagged        INTEGER NOT NULL DEFAULT 0,
    edit           INTEGER REFERENCES label (id),
    UNIQUE (session_id, native_id)
);
CREATE INDEX example_recent ON example (created DESC, id DESC) WHERE dropped IS NULL;
CREATE INDEX example_facets ON example (decision, coalesce(human_language, language), confidence) WHERE dropped IS NULL;
CREATE INDEX example_key ON example (key);
CREATE INDEX example_doc ON example (doc);

-- The tool calls of each example: a forked session repeats them.
CREATE TABLE example_call (
    call_id    INTEGER NOT NULL,           -- hash of request, id, name and arguments
    example_id INTEGER NOT NULL REFERENCES example (id) ON DELETE CASCADE,
    PRIMARY KEY (call_id, example_id)
) WITHOUT ROWID;
CREATE INDEX example_call_example ON example_call (example_id);

CREATE VIRTUAL TABLE example_text USING fts5 (text, content='', tokenize="unicode61 tokenchars '_'");

-- Decisions about examples. Append-only: undo is a row too.
CREATE TABLE label (
    id          INTEGER PRIMARY KEY,
    example_id  INTEGER NOT NULL REFERENCES example (id),
    example_key TEXT NOT NULL,              -- the content it was given for
    action      TEXT NOT NULL CHECK (action IN ('accept','reject','skip','language','flag','unflag','edit','undo')),
    value       BLOB,                       -- the language, or the edited messages
    author      TEXT NOT NULL,
    at          INTEGER NOT NULL,           -- epoch milliseconds
    seconds     REAL,                       -- time spent looking at it
    reason      TEXT,
    batch       TEXT NOT NULL,              -- labels of one decision; undone together
    undoes      TEXT                        -- the batch an 'undo' takes back
);
CREATE INDEX label_example ON label (example_id, id);
CREATE INDEX label_batch ON label (batch);
CREATE TRIGGER label_is_append_only_update BEFORE UPDATE ON label
BEGIN SELECT raise(ABORT, 'labels are append-only'); END;
CREATE TRIGGER label_is_append_only_delete BEFORE DELETE ON label
BEGIN SELECT raise(ABORT, 'labels are append-only'); END;
