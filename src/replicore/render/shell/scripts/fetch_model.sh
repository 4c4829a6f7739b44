#!/usr/bin/env bash
# Downloads the model once, instead of every replica asking the hub for it. The environment needs
# `hf`, the command of huggingface_hub, and HF_TOKEN for a model with terms.
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$HERE/settings.sh"
# shellcheck source=/dev/null
source "$HERE/functions.sh"

if [[ -e $MODEL ]]; then
  say "it is there: $MODEL"
  exit
fi
# It appears under its name when it is whole; a download that broke is continued.
hf download "$HUB_REPOSITORY" --revision "$HUB_REVISION" --local-dir "$MODEL.partial"
mv --no-target-directory -- "$MODEL.partial" "$MODEL"
say "downloaded: $MODEL"
