"""The frames on the wire: MODBUS RTU over two GATT characteristics. Pure: bytes in, bytes out."""

from dataclasses import dataclass

from services.bluetti_bridge.errors import BadReply, StationRefused

READ, WRITE = 3, 6
_UNIT = 1
_EXCEPTION = 0x80
_EXCEPTION_SIZE = 5
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, not done yet",
    6: "busy",
}
"""MODBUS application protocol 1.1b3, section 7."""
MOST_REGISTERS = 125
"""In one frame, by the same protocol."""


class ModbusException(StationRefused):
    """The power station understood a request and refuses it."""

    def __init__(self, request: "Request", code: int) -> None:
        self.code = code
        super().__init__(f"refuses {request}: MODBUS exception {code} ({_EXCEPTIONS.get(code, 'unknown')})")


@dataclass(frozen=True, slots=True)
class Request:
    """Read `count` registers from `address`, or write `value` to the one at `address`."""

    function: int
    address: int
    argument: int
    """How many registers to read, or the value to write."""

    def __str__(self) -> str:
        if self.function == WRITE:
            return f"{self.argument} at register {self.address}"
        return f"registers {self.address} to {self.address + self.argument - 1}"

    @property
    def frame(self) -> bytes:
        """As sent."""
        return sealed(bytes([_UNIT, self.function]) + self.address.to_bytes(2, "big") + self.argument.to_bytes(2, "big"))

    @property
    def reply_size(self) -> int:
        """Bytes of a reply that is no exception."""
        return 5 + 2 * self.argument if self.function == READ else 8


def read(address: int, count: int) -> Request:
    """Read holding registers. Raises ValueError for what no frame can carry."""
    if not 1 <= count <= MOST_REGISTERS or not 0 <= address <= 0x10000 - count:
        raise ValueError(f"cannot read {count} registers from {address}")
    return Request(READ, address, count)


def write(address: int, value: int) -> Request:
    """Write one register. Raises ValueError for what no frame can carry."""
    if not 0 <= address <= 0xFFFF or not 0 <= value <= 0xFFFF:
        raise ValueError(f"cannot write {value} to {address}")
    return Request(WRITE, address, value)


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 0xA001 reflected, start 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def sealed(body: bytes) -> bytes:
    """`body` with its CRC, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


class Reply:
    """Puts the fragments of the reply to one request together, whatever the MTU cut them to."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, fragment: bytes) -> bytes | None:
        """The registers' bytes once the frame is whole, else None. Raises ModbusException or BadReply."""
        self._data += fragment
        data, request = bytes(self._data), self._request
        if data[:1] != bytes([_UNIT])[: len(data)]:
            raise BadReply("frame", data[:20].hex(), f"unit {_UNIT}")
        if len(data) < 2:
            return None
        refused = data[1] == request.function | _EXCEPTION
        if not refused and data[1] != request.function:
            raise BadReply("function", data[1], f"{request.function}, or {request.function | _EXCEPTION} for a refusal")
        size = _EXCEPTION_SIZE if refused else request.reply_size
        if len(data) < size:
            return None
        if len(data) > size:
            raise BadReply("frame", f"{len(data)} bytes", f"{size} bytes")
        if sealed(data[:-2]) != data:
            raise BadReply("crc", data[-2:].hex(), sealed(data[:-2])[-2:].hex())
        if refused:
            raise ModbusException(request, data[2])
        return self._body(data)

    def _body(self, data: bytes) -> bytes:
        request = self._request
        if request.function == READ:
            if data[2] != 2 * request.argument:
                raise BadReply("byte count", data[2], str(2 * request.argument))
            return data[3:-2]
        if data != request.frame:
            raise BadReply("echo", data.hex(), request.frame.hex())
        return data[4:6]
