"""Plugin of tox: one virtual environment for all that need the same packages (`runner = shared`).

tox makes an environment anew where its folder was made under another name. Those that share a
folder (`env_dir`), packages and extras differ in their commands only, so the name may differ here.
"""

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner


class SharedInfo(Info):
    """What tox remembers of a folder, without the name that it was made under."""

    def compare(self, value, section, sub_section=None):
        """As tox's own, which makes the folder anew where `value` is not what it was."""
        if section == "ToxEnv":
            value = {**value, "name": "shared"}
        return super().compare(value, section, sub_section)


class Shared(VirtualEnvRunner):
    """A virtual environment in a folder that others use too."""

    @staticmethod
    def id() -> str:
        """Its name, as ``runner`` in tox.ini."""
        return "shared"

    @property
    def cache(self) -> Info:
        """What was done to the folder so far."""
        return SharedInfo(self.env_dir)


@impl
def tox_register_tox_env(register):
    """Tell tox of the runner."""
    register.add_run_env(Shared)
