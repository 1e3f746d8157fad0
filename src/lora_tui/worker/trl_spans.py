"""What TRL trains on in a turn besides our spans, for the templates it knows byte for byte.

Its training templates open the generation block inside or before the header for some families: `qwen2_5_training.jinja`
before the newline after "assistant", `qwen3_6_training.jinja` before the "<think>" that the prompt writes itself,
`gptoss_training.jinja` before the whole header. Two close it before the end of what the template writes.
"""

from __future__ import annotations

import msgspec


class Known(msgspec.Struct, frozen=True):
    """before: texts counted in where a turn begins after one of them. without: texts not counted in at its end.
    after: texts counted in where one of them follows."""

    before: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def span(self, text: str, span: tuple[int, int]) -> tuple[int, int]:
        """The characters TRL trains on for a turn that stands at `span` (begin, end) of `text`."""
        start, end = span
        start -= next((len(mark) for mark in self.before if text.endswith(mark, 0, start)), 0)
        end -= next((len(mark) for mark in self.without if text.endswith(mark, start, end)), 0)
        end += next((len(mark) for mark in self.after if text.startswith(mark, end)), 0)
        return start, end


_NEWLINE = Known(before=("\n",))
_THINK = Known(before=("<think>\n", "<think>"))
_NO_THOUGHT = Known(before=("<think>\n\n</think>\n\n",))
_CHANNELS = Known(before=("<|start|>assistant",))
_DEEPSEEK = Known(before=("<｜Assistant｜><think>\n", "<｜Assistant｜>", "<｜tool▁outputs▁end｜>"))
_SPACE = Known(without=(" ",))
_RESPONSE = Known(without=("<|tool_response>",))
_ROLES = Known(after=("<|user|>", "<|observation|>", "<|system|>"))  # they stop the model, and nothing else does

# SHA-256 of the template. TRL 1.16, trl/chat_templates: the original and its training variant.
KNOWN: dict[str, Known] = {
    "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f": _NEWLINE,  # qwen2_5.jinja
    "0cd86fb80f520885e35040a8df321540e729d3358da41f27cf74d33103d94f62": _NEWLINE,  # qwen2_5_training.jinja
    "273d8e0e683b885071fb17e08d71e5f2a5ddfb5309756181681de4f5a1822d80": _NO_THOUGHT,  # qwen3_5_nothink.jinja
    "f32fe3e21c20f59d193244181c8b4c324c73a8cd313ddf825633a9ecfd2afad2": _NO_THOUGHT,  # qwen3_5_nothink_training.jinja
    "a4aee8afcf2e0711942cf848899be66016f8d14a889ff9ede07bca099c28f715": _THINK,  # qwen3_5_think.jinja
    "ccf356d8f238e287c047b1ef589850fd6b2b44e6cb29079e26c635fb9b8111ef": _THINK,  # qwen3_5_think_training.jinja
    "e84f32a23fdda27689f868aa4a1a5621f41133e51a48d7f3efcbea2839574259": _THINK,  # qwen3_6.jinja
    "c5a26eaf3aab77fdc4ec696540ff896713ff0764f552ce9f597ede99fc673034": _THINK,  # qwen3_6_training.jinja
    "c3cf9e34abf4f9e36c2d72165aa9c132d3e2a725b6c2586aaa3a8af9d7a81041": _THINK,  # qwen3_8.jinja
    "320c2f734288f91c341c1c3c9690e4e6aba07a27852bf88d7c8481c880168288": _THINK,  # qwen3_8_training.jinja
    "cfc67e5f349f37690dfd31ed1f18bc4442a9dd32fe39a648f993cb4eb3cae678": _CHANNELS,  # muse_glimmer.jinja
    "6eec84ccc527ef03efdcad19e64e5a4347d22c13c5d80fadcaf289ca3457ced9": _CHANNELS,  # muse_glimmer_training.jinja
    "a4c9919cbbd4acdd51ccffe22da049264b1b73e59055fa58811a99efbd7c8146": _CHANNELS,  # gptoss.jinja
    "6adda7cea0f63ef14918be7f26100b324525b6185a8f06932914388ffaa52e32": _CHANNELS,  # gptoss_training.jinja
    "563b1ce7d61d50a9b4c7439a912a1116f095b712df5b5e4d3e1116049874eb64": _DEEPSEEK,  # deepseekv3.jinja
    "aadb4942004c186f9ba97d28f653d7f2e0dc20e4275352a486f7cafbe4dd7b51": _DEEPSEEK,  # deepseekv3_training.jinja
    "56a1447ad31926fdc21fb07e56e5642bd9c850c4f52d8c8af7bbe5f079a84f5f": _DEEPSEEK,  # deepseek_r1_distill.jinja
    "439ca50e037bdf26b9e654e3eaa559fdd19d41e602307bcb133451070eb2ee3e": _DEEPSEEK,  # deepseek_r1_distill_training.jinja
    "ab7813c3abdd9cb655905a410728b26c7884eca45ddfab8d9f931553485a7862": _THINK,  # nemotron_3_nano.jinja
    "f52a4a70292b98db4d1b9f69a59546a43fc5e8603a6794781973a3e5821bd475": _THINK,  # nemotron_3_nano_training.jinja
    "575fb74f54ed264df9047d0ecce3c98938aae953fb4f50356675706264cbb68a": _THINK,  # nemotron_3_super.jinja
    "d3859585444574090259d403ca65f71a496b77b0b50f31106aa99a25f5caa692": _THINK,  # nemotron_3_super_training.jinja
    "82753bef5cedc4932c1ed509b5c9a12be680fd86d1adb65bc3f7398d11c8eebc": _THINK,  # nemotron_3_ultra.jinja
    "d61cca230ac4f8137e74e88d73d8a649e4c3a71bb79b82925a19cf6dc52a6c7e": _THINK,  # nemotron_3_ultra_training.jinja
    "58933db77d3099b4f78c55a38347a72e1ea05b97d6bd8f38775303dc0194e0a9": _THINK,  # nemotron_3_5_lightning.jinja
    "a44efc49cf02e3dee4421bd34925ba7e2081f1652b16648efbec4a6e8a203ea8": _THINK,  # nemotron_3_5_lightning_training.jinja
    "2c17243a977fd0643fb549a509a8e2684f45517df0f9f608d5893b719f16569f": _SPACE,  # llava_next.jinja
    "27c0b73c5de0a0f5561d748d53d2cdab4788bb83887d33cbc74bdf2a8d148bf1": _SPACE,  # llava_next_training.jinja
    "9aeb7eac68ad87bba7567e9d4597ff203e5609f1b427d9e823437d0142cc61bf": _RESPONSE,  # diffusion_gemma.jinja
    "cf1664f301605c2fa7e361a18b5b60aaf3896b3f8e2626b96869a99c8e8a71f9": _RESPONSE,  # diffusion_gemma_training.jinja
    "44f815868bf02fa458dd2f741a338046f4bf45f398eb6d067766726b9d96cce3": _ROLES,  # glm4moe.jinja
}
