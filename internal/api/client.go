package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// maxAnswer bounds an answer that is no stream.
const maxAnswer = 16 << 20

// Client is the engine at the other end of a socket. Every error that its
// methods return is an *engine.Error; it is of kind engine.Unavailable where no
// supervisor answers, or the connection breaks. A stream ends without an error
// where the engine ended it, or its context is over.
type Client struct {
	path string
	http *http.Client
}

var _ engine.Engine = (*Client)(nil)

// Dial finds the socket (see Find) and returns a client of its server. Whether
// the server can be trusted is asked again at each connection.
func Dial(ctx context.Context, o DialOptions) (*Client, error) {
	s, err := find(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Client{
		path: s.path,
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return s.connect(ctx) },
				DisableCompression: true,
				MaxIdleConns:       4,
				// Less than the server's, so that it never closes a connection just as a request is sent on it.
				IdleConnTimeout: 10 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Path is the socket's path.
func (c *Client) Path() string { return c.path }

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Info implements engine.Engine.
func (c *Client) Info(ctx context.Context) (engine.Info, error) {
	var i engine.Info
	_, err := c.call(ctx, "GET", "/v1/info", nil, &i)
	return i, err
}

// List implements engine.Engine.
func (c *Client) List(ctx context.Context) ([]engine.Status, error) {
	var all []engine.Status
	_, err := c.call(ctx, "GET", "/v1/units", nil, &all)
	return all, err
}

// Watch implements engine.Engine.
func (c *Client) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return lines[engine.Status](ctx, c, "GET", "/v1/watch", nil)
}

// Get implements engine.Engine.
func (c *Client) Get(ctx context.Context, name unit.Name) (engine.Status, error) {
	return c.unit(ctx, "GET", name, "", nil)
}

// Create implements engine.Engine.
func (c *Client) Create(ctx context.Context, req engine.CreateRequest) (engine.Status, bool, error) {
	var s engine.Status
	path, err := unitPath(req.Name)
	if err != nil {
		return s, false, err
	}
	code, err := c.call(ctx, "PUT", path, createBody{Down: req.Down}, &s)
	return s, code == http.StatusCreated, err
}

// Remove implements engine.Engine.
func (c *Client) Remove(ctx context.Context, name unit.Name) (engine.Status, error) {
	return c.unit(ctx, "DELETE", name, "", nil)
}

// Start implements engine.Engine.
func (c *Client) Start(ctx context.Context, name unit.Name) (engine.Status, error) {
	return c.unit(ctx, "POST", name, "/start", nil)
}

// Stop implements engine.Engine.
func (c *Client) Stop(ctx context.Context, name unit.Name) (engine.Status, error) {
	return c.unit(ctx, "POST", name, "/stop", nil)
}

// Restart implements engine.Engine.
func (c *Client) Restart(ctx context.Context, name unit.Name) (engine.Status, error) {
	return c.unit(ctx, "POST", name, "/restart", nil)
}

// Signal implements engine.Engine.
func (c *Client) Signal(ctx context.Context, name unit.Name, sig unit.Signal) (engine.Status, error) {
	return c.unit(ctx, "POST", name, "/signal", signalBody{Signal: strconv.Itoa(int(sig))})
}

// Reload implements engine.Engine.
func (c *Client) Reload(ctx context.Context, req engine.ReloadRequest) ([]engine.Change, error) {
	var changes []engine.Change
	_, err := c.call(ctx, "POST", "/v1/reload", reloadBody{DryRun: req.DryRun}, &changes)
	return changes, err
}

// Logs implements engine.Engine.
func (c *Client) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	path, err := unitPath(req.Name)
	if err != nil {
		return func(yield func(engine.Line, error) bool) { yield(engine.Line{}, err) }
	}
	return linesOf(lines[logLine](ctx, c, "GET", path+"/logs?"+setLogQuery(req).Encode(), nil))
}

// LogsOf implements engine.LogsOf with a request for as many units as one may name: a connection for each would be more
// than a peer may have.
func (c *Client) LogsOf(ctx context.Context, reqs []engine.LogRequest) iter.Seq2[engine.Line, error] {
	bodies, err := logsBodies(reqs)
	if err != nil {
		return func(yield func(engine.Line, error) bool) { yield(engine.Line{}, err) }
	}
	return engine.Gather(ctx, bodies, func(ctx context.Context, body logsBody) iter.Seq2[engine.Line, error] {
		return linesOf(lines[logLine](ctx, c, "POST", "/v1/logs", body))
	})
}

// Runs implements engine.Engine.
func (c *Client) Runs(ctx context.Context, name unit.Name, limit int) ([]engine.RunRecord, error) {
	path, err := unitPath(name)
	if err != nil {
		return nil, err
	}
	var runs []engine.RunRecord
	_, err = c.call(ctx, "GET", path+"/runs?limit="+strconv.Itoa(limit), nil, &runs)
	return runs, err
}

// unitPath is the path of a unit. A name that does not parse is refused here:
// in a path it could mean something else.
func unitPath(name unit.Name) (string, error) {
	if _, err := unit.ParseName(string(name)); err != nil {
		return "", engine.Errorf(engine.Invalid, "%v", err)
	}
	return "/v1/units/" + url.PathEscape(string(name)), nil
}

func (c *Client) unit(ctx context.Context, method string, name unit.Name, verb string, body any) (engine.Status, error) {
	var s engine.Status
	path, err := unitPath(name)
	if err != nil {
		return s, err
	}
	_, err = c.call(ctx, method, path+verb, body, &s)
	return s, err
}

// call asks, and reads the answer into into.
func (c *Client) call(ctx context.Context, method, path string, body, into any) (code int, err error) {
	resp, err := c.ask(ctx, method, path, body)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		return 0, unavailable(err)
	}
	return resp.StatusCode, nil
}

// ask sends a request and returns the answer where it is a good one.
func (c *Client) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, engine.Errorf(engine.Internal, "cannot ask: %v", err)
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://pintle"+path, content)
	if err != nil {
		return nil, engine.Errorf(engine.Internal, "cannot ask: %v", err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, unavailable(err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated {
		return resp, nil
	}
	defer resp.Body.Close()
	var refusal engine.Error
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what is wrong with a configuration can be long
	if err != nil || json.Unmarshal(answer, &refusal) != nil || refusal.Kind == "" {
		return nil, unavailable(errors.New("its answer is " + resp.Status))
	}
	return nil, &refusal
}

// lines yields the lines of a stream.
func lines[T any](ctx context.Context, c *Client, method, path string, body any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		resp, err := c.ask(ctx, method, path, body)
		if err != nil {
			if ctx.Err() == nil {
				yield(none, err)
			}
			return
		}
		defer resp.Body.Close()
		for in := bufio.NewReaderSize(resp.Body, 2*mostPending); ; {
			v, err := line[T](in)
			if ctx.Err() != nil || err == io.EOF {
				return
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// line reads one line; the error is io.EOF where the stream has ended as it should.
func line[T any](in *bufio.Reader) (v T, err error) {
	var raw []byte
	for len(raw) == 0 { // an empty line is a sign of life
		raw, err = in.ReadBytes('\n')
		raw = bytes.TrimSpace(raw)
		switch {
		case err == io.EOF && len(raw) == 0:
			return v, io.EOF
		case err == io.ErrUnexpectedEOF, errors.Is(err, syscall.ECONNRESET):
			return v, unavailable(errors.New("the connection broke: it has ended, or was restarted"))
		case err != nil && err != io.EOF:
			return v, unavailable(err)
		}
	}
	if bytes.HasPrefix(raw, []byte(errorLineStart)) {
		var last errorLine
		if err := json.Unmarshal(raw, &last); err == nil && last.Error != nil {
			return v, last.Error
		}
		return v, unavailable(errors.New("its stream has ended badly"))
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, unavailable(err)
	}
	return v, nil
}

// unavailable is err, which came from the connection, as an engine.Error.
func unavailable(err error) *engine.Error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its own text has the method and a URL that nobody has asked for
	}
	return engine.Errorf(engine.Unavailable, "cannot reach pintle: %v", err)
}
