package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

var yamlFault = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// file reads the YAML file, if one is named.
func (l *loader) file(path string) {
	if path == "" {
		return
	}
	content, err := readFile(path, maxFileBytes)
	if err != nil {
		l.errs = append(l.errs, &Error{File: path, Problem: err.Error()})
		return
	}
	l.yaml(path, content)
}

// yaml reads the content of a file. path is only for errors.
func (l *loader) yaml(path string, content []byte) {
	y := &yamlReader{loader: l, path: path}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			y.syntax(err)
		}
		return
	}
	if len(doc.Content) > 0 {
		y.section(doc.Content[0], "")
	}
	var more yaml.Node
	switch err := dec.Decode(&more); {
	case err == nil:
		y.fail(&more, "", "a second document is not supported")
	case !errors.Is(err, io.EOF):
		y.syntax(err)
	}
}

type yamlReader struct {
	*loader
	path string
}

func (y *yamlReader) syntax(err error) {
	e := &Error{File: y.path, Problem: err.Error()}
	if m := yamlFault.FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Problem = m[2]
	}
	e.Problem = "is not valid YAML: " + printable(e.Problem)
	y.errs = append(y.errs, e)
}

func (y *yamlReader) fail(n *yaml.Node, key, problem string) {
	y.loader.fail(y.origin(n, key), "", problem)
}

func (y *yamlReader) origin(n *yaml.Node, key string) origin {
	return origin{where: y.path + ":" + strconv.Itoa(n.Line), file: y.path, line: n.Line, name: key, explicit: true}
}

// section reads the keys below path, "" for the top.
func (y *yamlReader) section(n *yaml.Node, path string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		y.fail(n, path, "is not a mapping of keys to values")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode {
			y.fail(name, path, "has a key that is not plain text")
			continue
		}
		key := join(path, name.Value)
		if first := seen[name.Value]; first > 0 {
			y.fail(name, key, fmt.Sprintf("is given twice, first in line %d", first))
			continue
		}
		seen[name.Value] = name.Line
		y.key(name, value, key)
	}
}

func (y *yamlReader) key(name, value *yaml.Node, key string) {
	if y.cat.sections[key] {
		y.section(value, key)
		return
	}
	f, fromFile := y.cat.find(key)
	if f == nil {
		text := ""
		if value.Kind == yaml.ScalarNode {
			text = value.Value
		}
		y.unknown(y.origin(name, key), key, text, isPlanned(key), y.names(), ".")
		return
	}
	r, err := toRaw(value)
	if err != nil {
		y.fail(value, key, err.Error())
		return
	}
	y.assign(f, r, fromFile, y.origin(name, key))
}

// names returns keys and sections.
func (y *yamlReader) names() []string {
	return append(slices.Collect(maps.Keys(y.cat.byKey)), slices.Collect(maps.Keys(y.cat.sections))...)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// toRaw turns a node into the text that was written; types are ours to judge.
func toRaw(n *yaml.Node) (raw, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		text, err := scalar(n)
		return raw{text: text, shape: shapeScalar}, err
	case yaml.SequenceNode:
		r := raw{shape: shapeList}
		for _, item := range n.Content {
			text, err := scalar(item)
			if err != nil {
				return raw{}, err
			}
			r.list = append(r.list, text)
		}
		return r, nil
	case yaml.MappingNode:
		return toPairs(n)
	case yaml.AliasNode, yaml.DocumentNode:
	}
	return raw{}, errors.New("is an alias, which is not supported")
}

func toPairs(n *yaml.Node) (raw, error) {
	r := raw{shape: shapePairs, pairs: map[string]string{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, err := scalar(n.Content[i])
		if err != nil {
			return raw{}, err
		}
		value, err := scalar(n.Content[i+1])
		if err != nil {
			return raw{}, err
		}
		if _, twice := r.pairs[name]; twice {
			return raw{}, fmt.Errorf("names %q twice", printable(name))
		}
		r.pairs[name] = value
	}
	return r, nil
}

func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", errors.New("is an alias, which is not supported")
	case n.Kind != yaml.ScalarNode:
		return "", errors.New("is nested too deeply")
	case n.Style&yaml.TaggedStyle != 0:
		return "", errors.New("has a YAML tag, which is not supported")
	case isNull(n):
		return "", nil
	}
	return n.Value, nil
}
