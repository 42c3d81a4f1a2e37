"""Weights before the first step: made from a seed, or taken from a bank."""

from collections.abc import Sequence
from dataclasses import asdict

import torch

from stylebank.bank.bundle import Bundle
from stylebank.config import Config
from stylebank.errors import ConfigError
from stylebank.network.model import StyleBankNetwork
from stylebank.network.tensors import to_torch


def new_network(config: Config, kernels: Sequence[int]) -> StyleBankNetwork:
    """The network before its first step, a function of the experiment's seed and the filters' sizes alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        revises = config.network.is_bank and config.training.revisions > 0
        return StyleBankNetwork(config.network, kernels, revises=revises)


def check_start(start: Bundle, config: Config) -> None:
    """Make sure that an experiment can go on from a bank.

    Raises:
        ConfigError: the bank has another network, or a style another kernel.
    """
    if start.network != config.network:
        shapes = (f"{tuple(asdict(shape).values())}" for shape in (start.network, config.network))
        raise ConfigError(
            f"--from: its network is another ({', not '.join(shapes)}); use a [network] like it"
        )
    for style in config.styles:
        if style.name in start.names and (kernel := start.find(style.name).style.kernel) != style.kernel:
            raise ConfigError(
                f"--from: its style '{style.name}' has another kernel ({kernel}, not {style.kernel}); "
                f"use kernel = {kernel}"
            )


def go_on_from(start: Bundle, network: StyleBankNetwork, config: Config) -> None:
    """Give a new network the weights of a bank; a style that the bank lacks keeps its own start.

    Raises:
        ConfigError: see `check_start`.
    """
    check_start(start, config)
    network.load_state_dict(to_torch(start.coder), strict=False)
    with torch.no_grad():
        for place, style in enumerate(config.styles):
            if style.name not in start.names:
                continue
            entry = start.find(style.name)
            for again, bank in ((False, network.filters), (True, network.revisions)):
                if len(bank):
                    bank[place].copy_(torch.from_numpy(entry.of_pass(again=again)[0]))
