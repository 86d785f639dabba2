"""Finding the worst actuator faults, and keeping them where every trial can read them."""

from afrl_ray.attacks.bank import AttackBank, BankFileError, BankMismatchError
from afrl_ray.attacks.bank_actor import BankActor, BankClient, BankSource

__all__ = ["AttackBank", "BankActor", "BankClient", "BankFileError", "BankMismatchError", "BankSource"]
