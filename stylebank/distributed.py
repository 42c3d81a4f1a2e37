"""Many processes, one training: torchrun's environment, a rank's part of a batch, what the ranks agree on."""

import os

from stylebank.errors import ConfigError


def rank_and_world() -> tuple[int, int]:
    """This process's rank and the number of processes, as torchrun has set them; (0, 1) without it.

    Raises:
        ConfigError: RANK and WORLD_SIZE in the environment do not go together.
    """
    rank, world_size = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if not rank and not world_size:
        return 0, 1
    if not (rank.isdecimal() and world_size.isdecimal() and int(rank) < int(world_size)):
        raise ConfigError(
            f"RANK '{rank}', WORLD_SIZE '{world_size}': are no rank and number of processes; "
            "start with torchrun, which sets them, or unset both"
        )
    return int(rank), int(world_size)
