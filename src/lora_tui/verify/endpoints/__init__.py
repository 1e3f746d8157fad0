"""Endpoints: whatever answers a chat request, named as a person types it (see `naming`)."""

from lora_tui.verify.endpoints.naming import check_name as check_name
from lora_tui.verify.endpoints.opening import opened as opened
from lora_tui.verify.endpoints.server import Patience as Patience
