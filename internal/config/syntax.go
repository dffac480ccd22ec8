package config

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of one file. The parser takes time that grows with the square of the
// tokens and stack that grows with the depth, so that both are bounded before it
// runs. A large configuration has some hundred tokens and a depth of seven. How
// long a file may be is trust.MaxFile.
const (
	maxTokens = 20_000
	maxDepth  = 32
)

// source is the text of one file.
type source struct {
	name  string
	lines []string
}

func (s *source) at(line, column int) Position {
	return Position{s.name, max(line, 1), max(column, 1)}
}

// of is the position of a token.
func (s *source) of(tk *token.Token) Position {
	if tk == nil || tk.Position == nil {
		return s.at(1, 1)
	}
	return s.at(tk.Position.Line, tk.Position.Column)
}

// parse turns the bytes of a file into its root mapping. It returns nil where the
// file holds nothing, and where it is not YAML, or not the subset that the package
// comment names; these are reported.
func parse(name string, data []byte, r *report) (*source, *ast.MappingNode) {
	src := &source{name: name}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	src.lines = strings.Split(text, "\n")
	if !src.checkCharacters(r) {
		return src, nil
	}
	root, fault := src.tree(text)
	if fault != nil {
		r.failf(fault.Position, "%s", fault.message)
		return src, nil
	}
	switch root := root.(type) {
	case nil:
		return src, nil
	case *ast.NullNode:
		return src, nil
	case *ast.MappingNode:
		return src, root
	default:
		r.failf(src.start(root), "cannot use the file: it holds %s, and a mapping with keys such as main: is needed", describe(root))
		return src, nil
	}
}

// checkCharacters refuses what is no text, where it is.
func (s *source) checkCharacters(r *report) bool {
	for i, line := range s.lines {
		column := 0
		for rest := line; rest != ""; {
			c, size := utf8.DecodeRuneInString(rest)
			rest = rest[size:]
			column++
			switch {
			case c == utf8.RuneError && size == 1:
				r.failf(s.at(i+1, column), "cannot parse: the file is not UTF-8 here")
				return false
			case c < ' ' && c != '\t' || c == 0x7f:
				r.failf(s.at(i+1, column), "cannot parse: the control character %U is not allowed", c)
				return false
			}
		}
	}
	return true
}

// fault is why a text is refused as a whole.
type fault struct {
	Position
	message string
}

// tree parses text. A panic of the parser is an error at the start of the file:
// pintle is PID 1, and no configuration may end a container without a word.
func (s *source) tree(text string) (root ast.Node, bad *fault) {
	defer func() {
		if p := recover(); p != nil {
			root, bad = nil, &fault{s.at(1, 1), "cannot parse: the YAML parser fails on this file"}
		}
	}()
	tokens := lexer.Tokenize(text)
	if bad := s.checkTokens(tokens); bad != nil {
		return nil, bad
	}
	// Duplicate keys are left to the decoder, which reports them beside all other errors.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, s.explain(err)
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			return doc.Body, nil
		}
	}
	return nil, nil
}

// explain finds the position in an error of the parser, whose own text is a drawing of the source.
func (s *source) explain(err error) *fault {
	var located interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if !errors.As(err, &located) {
		return &fault{s.at(1, 1), "cannot parse: " + err.Error()}
	}
	at := s.of(located.GetToken())
	return &fault{at, "cannot parse: " + located.GetMessage() + s.hint(at)}
}

// hint adds the remedy where one of two common slips is the likely cause.
func (s *source) hint(at Position) string {
	if at.Line > len(s.lines) {
		return ""
	}
	line := []rune(s.lines[at.Line-1])
	i := min(at.Column-1, len(line))
	switch {
	case i < len(line) && line[i] == '\t':
		return "; indent with spaces"
	case i > 0 && line[i-1] == '$' && i < len(line) && line[i] == '{':
		return `; within [ ] and { } a value with ${ needs quotes: "${NAME}"`
	}
	return ""
}

// checkTokens refuses what lies outside the subset, and what would cost the parser too much.
func (s *source) checkTokens(tokens token.Tokens) *fault {
	if len(tokens) > maxTokens {
		return &fault{s.of(tokens[maxTokens]), "cannot parse: the file has too many values"}
	}
	var (
		flow    int   // open brackets and braces
		columns []int // where the open block collections begin
		content bool  // something other than "---" was seen
		ended   bool  // "..." was seen
	)
	open := func(column int) {
		for len(columns) > 0 && columns[len(columns)-1] > column {
			columns = columns[:len(columns)-1]
		}
		if len(columns) == 0 || columns[len(columns)-1] < column {
			columns = append(columns, column)
		}
	}
	for _, tk := range tokens {
		if message := outside(tk); message != "" {
			return &fault{s.of(tk), message + s.hint(s.of(tk))}
		}
		switch tk.Type {
		case token.CommentType:
			continue
		case token.DocumentEndType:
			ended = true
			continue
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			open(tk.Position.Column)
		case token.MappingValueType:
			if tk.Prev != nil && flow == 0 {
				open(tk.Prev.Position.Column)
			}
		}
		if ended || content && tk.Type == token.DocumentHeaderType {
			return &fault{s.of(tk), "cannot parse: a second document begins here, and a file holds one"}
		}
		content = true
		if flow+len(columns) > maxDepth {
			return &fault{s.of(tk), "cannot parse: the values are nested too deeply"}
		}
	}
	return nil
}

// outside says why a token is not in the subset of YAML that is read, or "".
func outside(tk *token.Token) string {
	switch tk.Type {
	case token.InvalidType:
		if strings.Contains(tk.Error, "\t") {
			return "cannot parse: a tab is not allowed here"
		}
		return "cannot parse: " + tk.Error
	case token.AnchorType, token.AliasType:
		name := ""
		if tk.Next != nil {
			name = tk.Next.Value
		}
		return "cannot use " + tk.Value + name + ": anchors and aliases are not supported; quote the value if it is text"
	case token.MergeKeyType:
		return "cannot use <<: merge keys are not supported"
	case token.TagType:
		return "cannot use " + tk.Value + ": tags are not supported; quote the value if it is text"
	case token.DirectiveType:
		return "cannot use %: directives are not supported; quote the value if it is text"
	case token.MappingKeyType:
		return "cannot use ?: write the key before a colon"
	}
	return ""
}

// start is where a value begins to be written. The parser's own position of a
// block mapping is that of its first colon.
func (s *source) start(n ast.Node) Position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return s.of(n.Values[0].Key.GetToken())
		}
	case *ast.LiteralNode:
		return s.of(n.Start)
	}
	return s.of(n.GetToken())
}

// describe names a node's kind for an error.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	}
	return "a single value"
}

// dollar finds where in the file the dollar sign at value[offset] was written. A
// value's text differs from its source by quotes, escapes and folded lines, so the
// dollar signs are counted; where they do not match up it is the start of the value.
func (s *source) dollar(n ast.Node, value string, offset int) Position {
	at := s.start(n)
	line, column := at.Line, at.Column
	if _, block := n.(*ast.LiteralNode); block {
		line, column = line+1, 1 // its header may hold a comment
	}
	if offset >= len(value) || value[offset] != '$' {
		return at
	}
	before := strings.Count(value[:offset], "$")
	word, _, _ := strings.Cut(value[offset:], "\n")
	word = word[:min(len(word), len("${X"))]
	for ; line <= len(s.lines); line, column = line+1, 1 {
		text := []rune(s.lines[line-1])
		for i := column - 1; i < len(text); i++ {
			if text[i] != '$' {
				continue
			}
			if before == 0 {
				if strings.HasPrefix(string(text[i:]), word) {
					return s.at(line, i+1)
				}
				return at
			}
			before--
		}
	}
	return at
}
