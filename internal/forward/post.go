package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// protocol is what two receivers that are posted to differ in.
type protocol interface {
	// encode makes a request of entries, and names what it is and how it is compressed ("" for not at all).
	encode(batch []entry) (body []byte, kind, compression string, err error)
	// rejected reads a good answer: how many lines were not taken all the same, and why.
	rejected(answer []byte) (lines int, cause string)
}

// poster is a receiver that lines are posted to. It has them when it says so.
type poster struct {
	target   Target
	protocol protocol
	client   *http.Client
	attempt  time.Duration
	taken    int
}

func newPoster(target Target, p protocol, t tuning) *poster {
	return &poster{target: target, protocol: p, attempt: t.attempt, client: &http.Client{
		Transport: &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			TLSClientConfig:   &tls.Config{RootCAs: target.Roots},
			ForceAttemptHTTP2: true,
			MaxIdleConns:      1,
			IdleConnTimeout:   time.Minute,
		},
		// What gives access must not follow to where somebody points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send implements receiver.
func (p *poster) send(ctx context.Context, batch []entry) error {
	body, kind, compression, err := p.protocol.encode(batch)
	if err != nil {
		return &refusal{lines: -1, cause: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, p.attempt)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target.Transport+"://"+p.target.Address+p.target.Path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, values := range p.target.Header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("User-Agent", "pintle-forward")
	if compression != "" {
		r.Header.Set("Content-Encoding", compression)
	}
	a, err := p.client.Do(r)
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err // its own text has the URL, which who reads this knows
	}
	if err != nil {
		return err
	}
	defer a.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer))
	switch code := a.StatusCode; {
	case code >= 200 && code < 300:
		if err != nil {
			return err // whether it has them is not known
		}
		if n, cause := p.protocol.rejected(answer); n > 0 {
			return &refusal{lines: n, cause: cause}
		}
		p.taken += len(batch)
		return nil
	case code == http.StatusTooManyRequests || code >= 500:
		return &notNow{after: retryAfter(a.Header.Get("Retry-After")), cause: says(a, answer)}
	case code == http.StatusRequestTimeout || code < 400:
		return errors.New(says(a, answer))
	}
	if a.StatusCode == http.StatusRequestEntityTooLarge {
		return &tooLarge{says(a, answer)}
	}
	return &refusal{lines: -1, cause: says(a, answer)}
}

// settled implements receiver.
func (p *poster) settled() (int, error) {
	n := p.taken
	p.taken = 0
	return n, nil
}

// close implements receiver.
func (p *poster) close() { p.client.CloseIdleConnections() }

// says is an answer that is no good one, in short.
func says(a *http.Response, answer []byte) string {
	text := "it answers " + a.Status
	if where := a.Header.Get("Location"); where != "" && a.StatusCode < 400 {
		text += ", to go to " + where
	}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/") || strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		if words := strings.Join(strings.Fields(strings.ToValidUTF8(string(answer), "\uFFFD")), " "); words != "" {
			text += fmt.Sprintf(": %.200s", words)
		}
	}
	return text
}

// retryAfter is how long a receiver asks to be left alone: seconds, or a date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now()), 0)
	}
	return 0
}
