package boot

import (
	"net"
	"os"
	"path/filepath"

	"pintle/internal/api"
	"pintle/internal/engine"
)

// place is the run-time directory, and what is in it.
type place struct {
	directory string       // "" where there is none
	listener  net.Listener // nil where there is no socket
	socket    string
	// runs is where runs have their own sockets, and are told of their stop; "" where there is none, and they do without.
	runs  string
	lacks []engine.Condition // what of that there is not

}

// openPlace makes it.
func openPlace() (p place) {
	listener, socket, err := api.Listen(api.ListenOptions{})
	if err != nil {
		p.lacks = append(p.lacks, engine.Conditionf(engine.SocketMissing, "pintle's commands can't reach it: %v", err))
		return p
	}
	p.listener, p.socket = listener, socket
	p.directory = filepath.Dir(p.socket)
	runs := filepath.Join(p.directory, "runs")
	err = os.RemoveAll(runs) // of an earlier life of the container
	if err == nil {
		err = os.Mkdir(runs, 0o755)
	}
	if err == nil {
		err = os.Chmod(runs, 0o755) // whatever the umask
	}
	if err != nil {
		p.lacks = append(p.lacks, engine.Conditionf(engine.RunsMute, "runs can't talk to pintle: %v", err))
		return p
	}
	p.runs = runs
	return p
}

func (p *place) close() {
	if p.listener != nil {
		_ = p.listener.Close()
	}
}
