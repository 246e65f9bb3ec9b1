"""What every verb of `operations` has: a name, a line of help, its options, and what it does."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.core.management import CommandParser

from accounts.management.base import ProductCommand


class Verb(ABC):
    """One verb.

    `lists` and `destructive` give it the shared options of the same names (see ProductCommand).
    """

    name: ClassVar[str]
    help: ClassVar[str]
    lists: ClassVar[bool] = True
    destructive: ClassVar[bool] = False

    @abstractmethod
    def add_options(self, parser: CommandParser) -> None:
        """Declare the verb's own options."""

    @abstractmethod
    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Do it; data by `command.emit`, messages by `command.say`, failures by its exceptions."""
