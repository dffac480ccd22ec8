package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mostUDP is the longest datagram: what common receivers take (RFC 5426 asks for 2,048).
const mostUDP = 8192

// wire is a syslog receiver. Since none acknowledges anything, a line counts as arrived when it was sent for some time
// without the connection having failed, and the receiver's kernel has it, where ours knows.
type wire struct {
	target Target
	host   string
	t      tuning

	conn    net.Conn // nil: there is none
	network string   // "udp", "tcp", "unix", "unixgram"
	// lost is closed when the other end closes the connection, and drained when who watches for that has ended.
	lost    chan struct{}
	drained sync.WaitGroup
	// sent are the batches that may have to be sent again, and total the bytes ever written.
	sent  []sent
	total int64
	buf   []byte
}

// sent is a batch that is under way: its end is where it ends in all that was written.
type sent struct {
	entries int
	end     int64
	at      time.Time
}

func newSyslog(target Target, host string, t tuning) *wire {
	return &wire{target: target, host: host, t: t}
}

// send implements receiver.
func (w *wire) send(ctx context.Context, batch []entry) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	if err := w.write(ctx, batch); err != nil {
		w.close()
		return err
	}
	w.sent = append(w.sent, sent{entries: len(batch), end: w.total, at: now()})
	return nil
}

func (w *wire) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	w.network = w.target.Transport
	if w.network == "unix" {
		w.network = "unixgram"
	}
	ctx, cancel := context.WithTimeout(ctx, w.t.attempt)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, w.network, w.target.Address)
	if errors.Is(err, syscall.EPROTOTYPE) { // it is one of streams
		w.network = "unix"
		c, err = d.DialContext(ctx, w.network, w.target.Address)
	}
	if err != nil {
		return err
	}
	w.conn, w.total = c, 0
	if w.network == "tcp" {
		// A peer that has vanished is noticed, though the kernel would try for a quarter of an hour.
		_ = w.control(func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((2 * w.t.attempt).Milliseconds()))
		})
	}
	if !w.datagrams() {
		lost := make(chan struct{})
		w.lost = lost
		w.drained.Go(func() {
			defer close(lost)
			_, _ = io.Copy(io.Discard, c) // its end is the news
		})
	}
	return nil
}

func (w *wire) datagrams() bool { return w.network == "udp" || w.network == "unixgram" }

func (w *wire) write(ctx context.Context, batch []entry) error {
	defer context.AfterFunc(ctx, func() { _ = w.conn.SetWriteDeadline(time.Unix(1, 0)) })()
	if err := w.conn.SetWriteDeadline(now().Add(w.t.attempt)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	most := 0
	if w.network == "udp" {
		most = mostUDP
	}
	w.buf = w.buf[:0]
	var message []byte
	for i := range batch {
		message = appendSyslog(message[:0], w.host, &batch[i], most)
		switch {
		case w.datagrams():
			if err := w.put(message); err != nil {
				return err
			}
		case w.network == "tcp": // octet counting, RFC 6587
			w.buf = append(strconv.AppendInt(w.buf, int64(len(message)), 10), ' ')
			w.buf = append(w.buf, message...)
		default:
			w.buf = append(append(w.buf, message...), '\n')
		}
	}
	if len(w.buf) == 0 {
		return nil
	}
	return w.put(w.buf)
}

func (w *wire) put(b []byte) error {
	n, err := w.conn.Write(b)
	w.total += int64(n)
	return err
}

// settled implements receiver.
func (w *wire) settled() (int, error) {
	if w.conn == nil {
		return 0, nil
	}
	taken, err := w.taken()
	if err != nil {
		w.close()
		return 0, err
	}
	n, at := 0, now()
	for len(w.sent) > 0 && w.sent[0].end <= taken && at.Sub(w.sent[0].at) >= w.t.settle {
		n += w.sent[0].entries
		w.sent = w.sent[1:]
	}
	return n, nil
}

// taken is how much of what was written the other end's kernel has, as far as ours knows; an error where the connection
// has failed.
func (w *wire) taken() (int64, error) {
	select {
	case <-w.lost:
		return 0, fmt.Errorf("%s closed the connection", w.target.Address)
	default:
	}
	left := 0
	err := w.control(func(fd int) error {
		pending, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && pending != 0 {
			err = os.NewSyscallError("write", syscall.Errno(pending))
		}
		if err == nil && w.network == "tcp" {
			left, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		}
		return err
	})
	return w.total - int64(left), err
}

// control does something with the socket.
func (w *wire) control(what func(fd int) error) error {
	raw, err := w.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = what(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// close implements receiver.
func (w *wire) close() {
	if w.conn == nil {
		return
	}
	_ = w.conn.Close() // what has not arrived is sent again
	w.drained.Wait()
	w.conn, w.sent, w.lost = nil, nil, nil
}
