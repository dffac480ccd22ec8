package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// endpoint is one thing that can be asked.
type endpoint struct {
	method string
	path   string
	access access
	// verb is what a refusal says: "cannot <verb> <name>: …"; where the path has no name, with its object.
	verb string
	// query lists the parameters that may stand after the path.
	query []string
	// body is set where a body is allowed.
	body   bool
	handle func(http.ResponseWriter, *request) error
}

// endpoints is everything that can be asked, and of whom.
func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{method: "GET", path: "/v1/info", access: anyone, verb: "see the container", handle: s.info},
		{method: "GET", path: "/v1/units", access: anyone, verb: "list the units", handle: s.list},
		{method: "GET", path: "/v1/watch", access: anyone, verb: "watch the units", handle: s.watch},
		{method: "POST", path: "/v1/reload", access: owner, verb: "reload the configuration", body: true, handle: s.reload},
		{method: "POST", path: "/v1/logs", access: eachManager, verb: "read the logs", body: true, handle: s.manyLogs},
		{method: "GET", path: "/v1/units/{name}", access: anyone, verb: "see", handle: s.get},
		{method: "PUT", path: "/v1/units/{name}", access: manager, verb: "create", body: true, handle: s.create},
		{method: "DELETE", path: "/v1/units/{name}", access: manager, verb: "remove", handle: s.change(s.engine.Remove)},
		{method: "POST", path: "/v1/units/{name}/start", access: manager, verb: "start", handle: s.change(s.engine.Start)},
		{method: "POST", path: "/v1/units/{name}/stop", access: manager, verb: "stop", handle: s.change(s.engine.Stop)},
		{method: "POST", path: "/v1/units/{name}/restart", access: manager, verb: "restart", handle: s.change(s.engine.Restart)},
		{method: "POST", path: "/v1/units/{name}/signal", access: manager, verb: "signal", body: true, handle: s.signal},
		{method: "GET", path: "/v1/units/{name}/logs", access: reader, verb: "read the logs of", query: logParameters, handle: s.logs},
		{method: "GET", path: "/v1/units/{name}/runs", access: manager, verb: "read the runs of", query: []string{"limit"}, handle: s.runs},
	}
}

// request is a request that has passed the access check.
type request struct {
	*http.Request
	peer  peer
	name  unit.Name // "" where the path names none
	query url.Values
}

// routes makes the table into a mux that answers everything else with an engine.Error too.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, e := range s.endpoints() {
		methods[e.path] = append(methods[e.path], e.method)
		mux.HandleFunc(e.method+" "+e.path, func(w http.ResponseWriter, r *http.Request) {
			if err := s.serve(e, w, r); err != nil {
				fail(w, err)
			}
		})
	}
	for pattern, allowed := range methods {
		allow := strings.Join(allowed, ", ")
		refuse := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			reply(w, http.StatusMethodNotAllowed, engine.Errorf(engine.Invalid, "cannot use method %.20q here: only %s", r.Method, allow))
		}
		mux.HandleFunc(pattern, refuse)
		mux.HandleFunc("HEAD "+pattern, refuse) // GET would include it
	}
	mux.HandleFunc("/", unknownPath)
	return mux
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The mux would redirect to the clean path; nobody who means well needs that.
	if p := r.URL.EscapedPath(); !strings.HasPrefix(p, "/") || path.Clean(p) != p {
		unknownPath(w, r)
		return
	}
	s.mux().ServeHTTP(w, r)
}

func unknownPath(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusNotFound, engine.Errorf(engine.Invalid, "cannot find path %.100q: there is no such path", r.URL.Path))
}

// serve checks name, access and form of a request, in this order, and hands it on.
func (s *Server) serve(e endpoint, w http.ResponseWriter, r *http.Request) error {
	who, ok := peerOf(r.Context())
	if !ok {
		return engine.Errorf(engine.Denied, "cannot %s: the peer is unknown", e.verb)
	}
	var name unit.Name
	if strings.Contains(e.path, "{name}") {
		var err error
		if name, err = unit.ParseName(r.PathValue("name")); err != nil {
			return engine.Errorf(engine.Invalid, "%v", err)
		}
	}
	var err error
	switch e.access {
	case manager:
		err = s.policy.permit(who, e.verb, name)
	case reader:
		err = s.policy.permitRead(who, e.verb, name)
	case owner:
		err = s.policy.admit(who, e.verb)
	}
	if err != nil {
		return err
	}
	what := strings.TrimSpace(e.verb + " " + string(name))
	if !e.body && r.ContentLength != 0 {
		return engine.Errorf(engine.Invalid, "cannot %s: no body is allowed here", what)
	}
	query, err := parseQuery(r.URL.RawQuery, e.query)
	if err != nil {
		return engine.Errorf(engine.Invalid, "cannot %s: %v", what, err)
	}
	r = r.WithContext(engine.WithActor(r.Context(), who.actor()))
	return e.handle(w, &request{Request: r, peer: who, name: name, query: query})
}

// parseQuery takes parameters that are allowed, each once.
func parseQuery(raw string, allowed []string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the parameters after the path cannot be read")
	}
	for key, values := range query {
		if !slices.Contains(allowed, key) {
			return nil, errors.New("unknown parameter " + strconv.Quote(key[:min(len(key), 60)]))
		}
		if len(values) > 1 {
			return nil, errors.New("parameter " + key + " is there twice")
		}
	}
	return query, nil
}

// decode reads a request's body: one JSON value with known members, or nothing.
func decode(w http.ResponseWriter, r *request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == io.EOF {
		return nil
	}
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errors.New("the body is longer than 64 KiB")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return errors.New("the body is no object")
		}
		return fmt.Errorf("the body has a value of the wrong type for %q", wrong.Field)
	}
	if err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fmt.Errorf("the body has the unknown field %.60s", name)
		}
	}
	return errors.New("the body is not one JSON value")
}

func (s *Server) info(w http.ResponseWriter, r *request) error {
	i, err := s.engine.Info(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, s.policy.showInfo(r.peer, i))
}

func (s *Server) list(w http.ResponseWriter, r *request) error {
	units, err := s.engine.List(r.Context())
	if err != nil {
		return err
	}
	shown := make([]engine.Status, 0, len(units))
	show := s.policy.viewer(r.peer)
	for _, u := range units {
		shown = append(shown, show(u))
	}
	return reply(w, http.StatusOK, shown)
}

func (s *Server) get(w http.ResponseWriter, r *request) error {
	u, err := s.engine.Get(r.Context(), r.name)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, s.policy.viewer(r.peer)(u))
}

func (s *Server) watch(w http.ResponseWriter, r *request) error {
	return pour(s, w, r, s.engine.Watch, func(u engine.Status) engine.Status {
		return s.policy.viewer(r.peer)(u) // decided anew for each: who manages may change meanwhile
	})
}

func (s *Server) reload(w http.ResponseWriter, r *request) error {
	var body reloadBody
	if err := decode(w, r, &body); err != nil {
		return engine.Errorf(engine.Invalid, "cannot reload the configuration: %v", err)
	}
	changes, err := s.engine.Reload(r.Context(), engine.ReloadRequest{DryRun: body.DryRun})
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]engine.Change{}, changes...)) // [] rather than null
}

func (s *Server) create(w http.ResponseWriter, r *request) error {
	var body createBody
	if err := decode(w, r, &body); err != nil {
		return engine.Errorf(engine.Invalid, "cannot create %s: %v", r.name, err)
	}
	u, created, err := s.engine.Create(r.Context(), engine.CreateRequest{Name: r.name, Down: body.Down})
	if err != nil {
		return err
	}
	if created {
		return reply(w, http.StatusCreated, u)
	}
	return reply(w, http.StatusOK, u)
}

// change answers with what a verb that takes nothing but a name returns.
func (s *Server) change(verb func(context.Context, unit.Name) (engine.Status, error)) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		u, err := verb(r.Context(), r.name)
		if err != nil {
			return err
		}
		return reply(w, http.StatusOK, u)
	}
}

func (s *Server) signal(w http.ResponseWriter, r *request) error {
	var body signalBody
	if err := decode(w, r, &body); err != nil {
		return engine.Errorf(engine.Invalid, "cannot signal %s: %v", r.name, err)
	}
	sig, err := unit.ParseSignal(body.Signal)
	if err != nil {
		return engine.Errorf(engine.Invalid, "cannot signal %s: %v", r.name, err)
	}
	u, err := s.engine.Signal(r.Context(), r.name, sig)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, u)
}

func (s *Server) runs(w http.ResponseWriter, r *request) error {
	limit := -1
	if r.query.Has("limit") {
		var err error
		if limit, err = strconv.Atoi(r.query.Get("limit")); err != nil {
			return engine.Errorf(engine.Invalid, "cannot read the runs of %s: limit is no number", r.name)
		}
	}
	runs, err := s.engine.Runs(r.Context(), r.name, limit)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]engine.RunRecord{}, runs...)) // [] rather than null
}

// reply sends a whole answer.
func reply(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return engine.Errorf(engine.Internal, "cannot answer: %v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // a peer that does not listen loses its own answer
	return nil
}

// fail sends err as the answer.
func fail(w http.ResponseWriter, err error) {
	e := asError(err)
	reply(w, statusOf(e.Kind), e)
}

// asError is err as an engine.Error; one of another type is Internal.
func asError(err error) *engine.Error {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e
	}
	return engine.Errorf(engine.Internal, "%v", err)
}
