"""Which carrier a bundle is carried by. Apart from the contract, so that neither kind of hull is known to it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .bundle import Bundle
    from .carrier import Carrier, Host


def make(bundle: "Bundle", fds: "dict[str, int]", host: "Host") -> "Carrier":
    """The carrier for bundle["kind"]."""
    if bundle["kind"] == "vm":
        from .vm.carrier import VmCarrier

        return VmCarrier(bundle, fds, host)
    from .container_carrier import ContainerCarrier

    return ContainerCarrier(bundle, fds, host)
