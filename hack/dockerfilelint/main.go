// Command dockerfilelint runs BuildKit's own Dockerfile checks, the ones of
// `docker build --check`, on files, with no engine and no registry.
//
//	dockerfilelint FILE...
//
// Each finding is one line, FILE:LINE: RULE: text. It exits 0 when there is
// none, 1 when there is one, 2 when a file cannot be read. A file can switch a
// rule off with BuildKit's `# check=skip=RULE` comment.
//
// It is a module of its own so that BuildKit stays out of pintle's go.mod.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerui"
	digest "github.com/opencontainers/go-digest"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: dockerfilelint FILE...")
		os.Exit(2)
	}
	found := 0
	for _, name := range os.Args[1:] {
		n, err := lint(name, os.Stdout)
		if err != nil {
			fmt.Fprintf(os.Stderr, "dockerfilelint: cannot check %s: %v\n", name, err)
			os.Exit(2)
		}
		found += n
	}
	if found > 0 {
		os.Exit(1)
	}
}

// lint prints what BuildKit finds in one Dockerfile and returns how many
// findings there are. A Dockerfile that does not parse is a finding.
func lint(name string, out io.Writer) (int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	source := llb.NewSourceMap(nil, name, "Dockerfile", text)
	source.Definition = &llb.Definition{} // DockerfileLint wants one, if only an empty one
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{
		Config:       dockerui.Config{LinterConfig: &linter.Config{ExperimentalAll: true}},
		SourceMap:    source,
		MetaResolver: noRegistry{},
	})
	if err != nil {
		return 0, err
	}
	for _, w := range results.Warnings {
		line := int32(0)
		if ranges := w.Location.Ranges; len(ranges) > 0 {
			line = ranges[0].Start.Line
		}
		fmt.Fprintf(out, "%s:%d: %s: %s\n", name, line, w.RuleName, w.Detail)
	}
	n := len(results.Warnings)
	if results.Error != nil {
		line := int32(0)
		if ranges := results.Error.Location.Ranges; len(ranges) > 0 {
			line = ranges[0].Start.Line
		}
		fmt.Fprintf(out, "%s:%d: error: %s\n", name, line, results.Error.Message)
		n++
	}
	return n, nil
}

// noRegistry answers every base image with an empty configuration, so that
// checking a Dockerfile never asks a registry.
type noRegistry struct{}

func (noRegistry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers"}}`)
	return ref, digest.FromBytes(config), config, nil
}
