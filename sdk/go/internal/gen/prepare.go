package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// prepare changes the document, for the Go generator alone, where its output would be wrong or needlessly large:
//
//   - Errors and headers of answers go. The hand-written layer turns every error into one type, and the generated code would
//     hold both again for each status of each operation.
//   - Header and cookie parameters go: they are options of a call.
//   - A merge patch has one body, not one per media type.
//   - An optional number, boolean or filter, and every optional field of a change (…Update, …Set), is a pointer. The generator's
//     "prefer skip optional pointer" would send limit=0 with every list and could never set a flag to false.
//   - An optional object is a pointer: one that is absent is not one without content.
//   - The open lists of words in answers are choices as others are: their types are strings, which bear any word.
//   - The same choice of words has one type wherever it stands.
func prepare(doc object) object {
	components := below(doc, "components")
	for _, unused := range []string{"examples", "headers", "responses"} {
		delete(components, unused)
	}
	sent := map[string]bool{}
	for _, op := range operations(doc) {
		prepareAnswers(op)
		prepareParameters(op)
		if body := below(op, "requestBody"); body != nil {
			content := below(body, "content")
			delete(content, "application/merge-patch+json")
			reach(doc, content, sent)
		}
	}
	schemas := below(components, "schemas")
	for _, name := range sorted(schemas) {
		if sent[name] {
			pointers(schemas[name].(object), strings.HasSuffix(name, "Update") || strings.HasSuffix(name, "Set"))
		}
		objects(schemas, schemas[name].(object))
	}
	scopes(schemas)
	openChoices(schemas)
	shareEnums(doc)
	return doc
}

// below gives the object under a name, or nil.
func below(o object, name string) object {
	found, _ := o[name].(object)
	return found
}

func sorted(o object) []string { return slices.Sorted(maps.Keys(o)) }

// operations gives every operation in the order of paths and methods.
func operations(doc object) []object {
	var all []object
	paths := below(doc, "paths")
	for _, path := range sorted(paths) {
		for _, method := range sorted(below(paths, path)) {
			if op := below(below(paths, path), method); op != nil {
				all = append(all, op)
			}
		}
	}
	return all
}

func prepareAnswers(op object) {
	answers := below(op, "responses")
	for _, status := range sorted(answers) {
		if !strings.HasPrefix(status, "2") {
			delete(answers, status)
			continue
		}
		delete(below(answers, status), "headers")
	}
}

func prepareParameters(op object) {
	list, _ := op["parameters"].([]any)
	list = slices.DeleteFunc(list, func(p any) bool {
		in := p.(object)["in"]
		return in == "header" || in == "cookie"
	})
	for _, p := range list {
		if p := p.(object); p["in"] == "query" {
			below(p, "schema")["x-go-type-skip-optional-pointer"] = false
			delete(below(p, "schema"), "default")
		}
	}
	if delete(op, "parameters"); len(list) > 0 {
		op["parameters"] = list
	}
}

const schemaPrefix = "#/components/schemas/"

// reach notes the names of the schemas that something refers to, near or far.
func reach(doc object, from any, into map[string]bool) {
	switch from := from.(type) {
	case object:
		name, isRef := strings.CutPrefix(fmt.Sprint(from["$ref"]), schemaPrefix)
		if isRef && !into[name] {
			into[name] = true
			reach(doc, below(below(doc, "components"), "schemas")[name], into)
		}
		for _, v := range from {
			reach(doc, v, into)
		}
	case []any:
		for _, v := range from {
			reach(doc, v, into)
		}
	}
}

// pointers makes those optional fields pointers whose zero value says something.
func pointers(schema object, patch bool) {
	required, _ := schema["required"].([]any)
	properties := below(schema, "properties")
	for _, name := range sorted(properties) {
		field := below(properties, name)
		kind, _ := field["type"].(string)
		counts := kind == "integer" || kind == "number" || kind == "boolean"
		if !slices.Contains(required, any(name)) && (patch || counts) {
			field["x-go-type-skip-optional-pointer"] = false
		}
	}
}

// objects makes optional fields that are objects pointers: an object that is absent is not one without content.
func objects(schemas, schema object) {
	required, _ := schema["required"].([]any)
	properties := below(schema, "properties")
	for _, name := range sorted(properties) {
		field := below(properties, name)
		ref, _ := field["$ref"].(string)
		target := below(schemas, strings.TrimPrefix(ref, schemaPrefix))
		if target["type"] == "object" && !slices.Contains(required, any(name)) {
			properties[name] = object{"allOf": []any{object{"$ref": ref}}, "x-go-type-skip-optional-pointer": false}
		}
	}
}

// scopes gives the scopes of a key a type of their own.
func scopes(schemas object) {
	field := below(below(below(schemas, "APIKeyCreate"), "properties"), "scopes")
	items := below(field, "items")
	schemas["Scope"] = object{"type": "string", "enum": items["enum"], "description": "What an API key may do: resource:read or resource:write."}
	field["items"] = object{"$ref": schemaPrefix + "Scope"}
}

// openChoices gives fields of answers their words. The codes of problems have constants of their own.
func openChoices(schemas object) {
	for _, owner := range sorted(schemas) {
		properties := below(below(schemas, owner), "properties")
		for _, name := range sorted(properties) {
			field := below(properties, name)
			if words, ok := field["x-extensible-enum"]; ok && owner != "Problem" {
				field["enum"] = words
			}
		}
	}
}

// choice is a field or a parameter that takes one of a few words.
type choice struct {
	owner, name string
	schema      object
}

// goName is the type that the generator would give it.
func (c choice) goName() string { return c.owner + "_" + c.name }

// shareEnums lets choices with the same name and words use the type of the first: Email.status, not EmailAccepted.status too.
func shareEnums(doc object) {
	var all []choice
	schemas := below(below(doc, "components"), "schemas")
	for _, owner := range sorted(schemas) {
		properties := below(below(schemas, owner), "properties")
		for _, name := range sorted(properties) {
			all = append(all, choice{owner, name, below(properties, name)})
		}
	}
	slices.SortStableFunc(all, func(a, b choice) int { return len(a.owner) - len(b.owner) })
	for _, op := range operations(doc) {
		list, _ := op["parameters"].([]any)
		for _, p := range list {
			p := p.(object)
			all = append(all, choice{"", fmt.Sprint(p["name"]), below(p, "schema")})
		}
	}
	first := map[string]choice{}
	for _, c := range all {
		list, ok := c.schema["enum"].([]any)
		if !ok {
			continue
		}
		// That a field may be null is said by its type.
		list = slices.DeleteFunc(list, func(w any) bool { return w == nil })
		c.schema["enum"] = list
		words := wordsOf(list)
		key := c.name + " " + words
		if known, ok := first[key]; ok {
			c.schema["x-go-type"] = camel(known.goName())
			delete(c.schema, "enum")
		} else if c.owner != "" {
			first[key] = c
		}
	}
}

// wordsOf lists the words of a choice in one order.
func wordsOf(list []any) string {
	var words []string
	for _, w := range list {
		words = append(words, fmt.Sprint(w))
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}
