"""Many processes, one training: torchrun's environment, a rank's part of a batch, what the ranks agree on.

Data parallelism: every rank has the whole network and works on its part of each batch; `DistributedDataParallel`
averages the gradients, so that all ranks do the step that one process would do with the whole batch. Every rank runs
the same program to the same end; rank 0 alone writes files and shows progress, and the first rank to fail says why.
One process is a group of one, which knows nothing of torch.distributed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stylebank.errors import ConfigError, DeviceError, RunError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.distributed.distributed_c10d import Store

    from stylebank.network.model import StyleBankNetwork


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


class Group:
    """The processes of one training; this class is the group of one.

    Attributes:
        rank: of this process, 0 to `world_size` - 1.
        world_size: how many processes.
    """

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0

    def places(self, batch: int) -> range:
        """The places of a batch that this rank works on: contiguous, and as many for every rank.

        Raises:
            ConfigError: the batch does not divide.
        """
        if batch % self.world_size:
            raise ConfigError(
                f"batch {batch}: is no multiple of {self.world_size} processes; change [training] batch or start fewer"
            )
        share = batch // self.world_size
        return range(self.rank * share, (self.rank + 1) * share)

    def refuse_several(self, command: str) -> None:
        """Raise ConfigError for a command that one process must do."""
        if self.world_size > 1:
            raise ConfigError(
                f"{command}: is done by one process, and there are {self.world_size}; start it without torchrun"
            )

    def own_device(self, device: "torch.device") -> "torch.device":
        """The device of this rank, of the kind that all compute on.

        Raises:
            DeviceError: the machine has fewer of them than processes, or one of them is named for all.
        """
        return device

    def averaging(self, network: "StyleBankNetwork") -> "nn.Module":
        """The network with gradients that are averaged over all ranks; its forward is to be called."""
        return network

    def mean(self, figures: "Tensor") -> "Tensor":
        """The mean of each figure over the ranks."""
        return figures

    def largest(self, number: int) -> int:
        """The largest of the ranks' numbers; all wait for each other."""
        return number

    def is_first(self, line: str) -> bool:
        """Whether no other rank has asked this of the same line."""
        del line
        return True

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Make sure that what the ranks start from is equal; all wait for each other.

        Args:
            facts: plain JSON data by name.

        Raises:
            RunError: naming what differs.
        """


ALONE = Group()


class _Ranks(Group):
    """Several processes, connected."""

    def __init__(self, rank: int, world_size: int, store: "Store") -> None:
        super().__init__(rank, world_size)
        self._store = store

    def own_device(self, device: "torch.device") -> "torch.device":
        """See `Group`: cuda:LOCAL_RANK, or the CPU for all."""
        import torch

        if device.type == "cpu":
            return device
        if str(device) != "cuda":
            raise DeviceError(
                f"device {device}: is one, and there are {self.world_size} processes; use --device cuda or cpu"
            )
        local, count = int(os.environ.get("LOCAL_RANK", self.rank)), torch.cuda.device_count()
        if local >= count:
            raise DeviceError(
                f"device cuda: this machine has {count}, and process {local + 1} finds none; start fewer, or use "
                "--device cpu"
            )
        torch.cuda.set_device(local)
        return torch.device("cuda", local)

    def averaging(self, network: "StyleBankNetwork") -> "nn.Module":
        """See `Group`."""
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(
            network,
            # A batch leaves out some filters, the auto-encoder branch all. What no rank used keeps no gradient.
            find_unused_parameters=any(weight.requires_grad for weight in network.filters),
            gradient_as_bucket_view=True,
        )

    def mean(self, figures: "Tensor") -> "Tensor":
        """See `Group`."""
        from torch import distributed

        total = figures.clone()
        distributed.all_reduce(total)
        return total / self.world_size

    def largest(self, number: int) -> int:
        """See `Group`; on the CPU, by gloo."""
        import torch
        from torch import distributed

        found = torch.tensor(number)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """See `Group`."""
        for name, fact in facts.items():
            digest = hashlib.sha256(json.dumps(fact, sort_keys=True).encode()).digest()
            number = int.from_bytes(digest[:7])
            if self.largest(number) != -self.largest(-number):
                raise RunError(
                    f"{name}: not the same for all processes; give all the same files, options and kind of processor"
                )

    def is_first(self, line: str) -> bool:
        """See `Group`."""
        try:
            return bool(self._store.add(hashlib.sha256(line.encode()).hexdigest(), 1) == 1)
        except RuntimeError:  # whoever kept the store is gone, and had its say
            return False


@contextmanager
def joined() -> Iterator[Group]:
    """Be one of the processes that torchrun started, or alone without it; leave them when done.

    Whatever ends one of them ends all: its connections close, and the others' next exchange fails. The first to fail
    raises what it found, the others leave without a word.

    Raises:
        ConfigError: the environment is not torchrun's.
        RunError: the others cannot be reached, or one ended without a word.
        SystemExit: another process failed, and says so.
    """
    rank, world_size = rank_and_world()
    if world_size == 1:
        yield ALONE
        return
    group = _connect(rank, world_size)
    try:
        yield group
    except Exception as error:
        if not group.is_first("failure"):
            raise SystemExit(2) from None
        if isinstance(error, RuntimeError) and "onnection" in str(error):
            raise RunError(
                f"rank {rank}: another process has ended; the same command continues at the last checkpoint"
            ) from error
        raise
    from torch import distributed

    distributed.destroy_process_group()


def _connect(rank: int, world_size: int) -> Group:
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        store, _, _ = next(rendezvous("env://"))
        has_nccl = torch.cuda.is_available() and distributed.is_nccl_available()
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if has_nccl else "gloo", store=store, rank=rank, world_size=world_size
        )
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise RunError(
            f"{world_size} processes: cannot be connected ({reason}); start them with torchrun"
        ) from error
    return _Ranks(rank, world_size, PrefixStore("stylebank", store))
