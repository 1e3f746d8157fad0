"""Where TRL begins to train in a turn, for the templates it knows byte for byte: characters before the prompt's end.

Its training templates open the generation block inside the header for some families: `qwen2_5_training.jinja` before
the newline after "assistant", `qwen3_6_training.jinja` before the "<think>" that the prompt writes itself.
"""

from __future__ import annotations

# SHA-256 of the template -> characters. TRL 1.16, trl/chat_templates: the original and its training variant.
EARLIER: dict[str, int] = {
    "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f": 1,  # qwen2_5.jinja
    "0cd86fb80f520885e35040a8df321540e729d3358da41f27cf74d33103d94f62": 1,  # qwen2_5_training.jinja
    "273d8e0e683b885071fb17e08d71e5f2a5ddfb5309756181681de4f5a1822d80": 19,  # qwen3_5_nothink.jinja
    "f32fe3e21c20f59d193244181c8b4c324c73a8cd313ddf825633a9ecfd2afad2": 19,  # qwen3_5_nothink_training.jinja
    "a4aee8afcf2e0711942cf848899be66016f8d14a889ff9ede07bca099c28f715": 8,  # qwen3_5_think.jinja
    "ccf356d8f238e287c047b1ef589850fd6b2b44e6cb29079e26c635fb9b8111ef": 8,  # qwen3_5_think_training.jinja
    "e84f32a23fdda27689f868aa4a1a5621f41133e51a48d7f3efcbea2839574259": 8,  # qwen3_6.jinja
    "c5a26eaf3aab77fdc4ec696540ff896713ff0764f552ce9f597ede99fc673034": 8,  # qwen3_6_training.jinja
    "c3cf9e34abf4f9e36c2d72165aa9c132d3e2a725b6c2586aaa3a8af9d7a81041": 8,  # qwen3_8.jinja
    "320c2f734288f91c341c1c3c9690e4e6aba07a27852bf88d7c8481c880168288": 8,  # qwen3_8_training.jinja
    "cfc67e5f349f37690dfd31ed1f18bc4442a9dd32fe39a648f993cb4eb3cae678": 18,  # muse_glimmer.jinja
    "6eec84ccc527ef03efdcad19e64e5a4347d22c13c5d80fadcaf289ca3457ced9": 18,  # muse_glimmer_training.jinja
}
