"""What can be asked of a photo."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import Client, picture, png


def test_state(client: Client) -> None:
    found = client.ask("GET", "/api/state")
    assert found.status == 200, found.body
    print(found.json)


def test_preview(client: Client) -> None:
    photo = client.photo()
    found = client.ask("POST", f"/api/photos/{photo}/preview", {"recipe": {"style": "wave"}, "side": 64})
    assert found.status == 200, found.body
    assert found.image.size == (64, 43)
