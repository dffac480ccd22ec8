package forward

import "encoding/binary"

// Snappy's block format, written as simply as it can be. Its libraries make a table of checksums when a process begins,
// for another format, and PID 1 would; the tests read with one of them what is written here.

const (
	// snappyBlock is how far back a copy reaches at most: each block is for itself.
	snappyBlock = 1 << 16
	snappyBits  = 14

	tagLiteral = 0
	tagCopy    = 2 // with an offset of two bytes
)

// appendSnappy appends src in the block format.
func appendSnappy(dst, src []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(src)))
	for len(src) > 0 {
		n := min(len(src), snappyBlock)
		dst = appendSnappyBlock(dst, src[:n])
		src = src[n:]
	}
	return dst
}

func appendSnappyBlock(dst, b []byte) []byte {
	var seen [1 << snappyBits]uint16 // where four bytes of this hash were last
	plain := 0                       // where what is not written yet begins
	for i := 0; i+4 <= len(b); {
		four := binary.LittleEndian.Uint32(b[i:])
		hash := four * 0x1e35a7bd >> (32 - snappyBits)
		from := int(seen[hash])
		seen[hash] = uint16(i)
		if from >= i || binary.LittleEndian.Uint32(b[from:]) != four {
			i += 1 + (i-plain)>>5 // what has not repeated for long is not looked at that closely
			continue
		}
		n := 4
		for i+n < len(b) && b[from+n] == b[i+n] {
			n++
		}
		dst = appendCopy(appendLiteral(dst, b[plain:i]), i-from, n)
		i += n
		plain = i
	}
	return appendLiteral(dst, b[plain:])
}

func appendLiteral(dst, b []byte) []byte {
	switch n := len(b) - 1; {
	case n < 0:
		return dst
	case n < 60:
		dst = append(dst, byte(n)<<2|tagLiteral)
	case n < 1<<8:
		dst = append(dst, 60<<2|tagLiteral, byte(n))
	default:
		dst = append(dst, 61<<2|tagLiteral, byte(n), byte(n>>8))
	}
	return append(dst, b...)
}

// appendCopy appends that n bytes from so far back come again.
func appendCopy(dst []byte, back, n int) []byte {
	for ; n > 0; n -= 64 {
		dst = append(dst, byte(min(n, 64)-1)<<2|tagCopy, byte(back), byte(back>>8))
	}
	return dst
}
