package forward

import "encoding/binary"

// The little of Protocol Buffers that is needed here. Their own Go packages, protowire too, open and read the program's
// file when a process begins, and PID 1 would; the tests read with them what is written here.

// The kinds of a field.
const (
	kindNumber  = 0
	kindFixed64 = 1
	kindBytes   = 2
	kindFixed32 = 5
)

func appendTag(b []byte, n uint64, kind uint64) []byte { return binary.AppendUvarint(b, n<<3|kind) }

func appendMessage(b []byte, n uint64, message []byte) []byte {
	b = binary.AppendUvarint(appendTag(b, n, kindBytes), uint64(len(message)))
	return append(b, message...)
}

func appendString(b []byte, n uint64, s string) []byte {
	b = binary.AppendUvarint(appendTag(b, n, kindBytes), uint64(len(s)))
	return append(b, s...)
}

func appendNumber(b []byte, n uint64, v uint64) []byte {
	return binary.AppendUvarint(appendTag(b, n, kindNumber), v)
}

func appendFixed(b []byte, n uint64, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(appendTag(b, n, kindFixed64), v)
}

// fields visits the fields of a message, as far as it can be read: numbers, and what has a length.
func fields(b []byte, visit func(n, number uint64, bytes []byte)) {
	for len(b) > 0 {
		tag, size := binary.Uvarint(b)
		if size <= 0 {
			return
		}
		b = b[size:]
		var number uint64
		var text []byte
		switch tag & 7 {
		case kindNumber:
			number, size = binary.Uvarint(b)
		case kindBytes:
			var length uint64
			if length, size = binary.Uvarint(b); size > 0 {
				if length > uint64(len(b)-size) {
					return
				}
				text = b[size : size+int(length)]
				size += int(length)
			}
		case kindFixed64:
			size = 8
		case kindFixed32:
			size = 4
		default:
			return
		}
		if size <= 0 || size > len(b) {
			return
		}
		visit(tag>>3, number, text)
		b = b[size:]
	}
}
