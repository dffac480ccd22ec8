package config

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/unit"
)

// No field of a unit can change without a key that says so.
func TestKeysKnowEveryField(t *testing.T) {
	t.Parallel()
	for _, kind := range []unit.Kind{unit.Service, unit.Oneshot} {
		a, b := unit.Spec{Kind: kind}, unit.Spec{Kind: kind}
		eachLeaf(t, reflect.ValueOf(&b).Elem(), "Spec", func(path string) {
			keys := Keys(&a, &b)
			if known := path != "Spec.Enabled.Because"; known != (len(keys) > 0) {
				t.Errorf("%s: Keys says %q when it changes", path, keys)
			}
		})
		if keys := Keys(&a, &b); len(keys) > 0 {
			t.Errorf("%s: Keys of equal units are %q", kind, keys)
		}
	}
}

// eachLeaf sets each field that v holds, calls changed, and sets it back.
func eachLeaf(t *testing.T, v reflect.Value, path string, changed func(path string)) {
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	defer v.Set(before)
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[unit.Pattern]() {
			p, err := unit.ParsePattern("x")
			if err != nil {
				t.Fatal(err)
			}
			v.Set(reflect.ValueOf(p))
			changed(path)
			return
		}
		for i := range v.NumField() {
			eachLeaf(t, v.Field(i), path+"."+v.Type().Field(i).Name, changed)
		}
		return
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		changed(path)
		eachLeaf(t, v.Elem(), path, changed)
		return
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint32:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	default:
		t.Fatalf("%s is a %s, which this test does not know", path, v.Kind())
	}
	changed(path)
}

// The keys are those that the file has, for the kind that the unit is.
func TestKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		first, second string
		want          []string
	}{
		{service(""), "\n\n" + service(""), nil},
		{service("enabled: false"), "\n" + service("enabled: false"), nil},
		{service("environment: {}"), service(""), nil},
		{service("depends_on: [main, a]"), service("depends_on: {a: , main: {condition: started}}"), nil},
		{service("capabilities: [KILL, cap_chown]"), service("capabilities: [CHOWN, KILL]"), nil},
		{service("capabilities: []"), service(""), []string{"capabilities"}},
		{service("user: a\n    stop_signal: INT"), service("labels: {a: b}"), []string{"labels", "stop_signal", "user"}},
		{service("depends_on: [a]"), service("depends_on: {a: {condition: ready}}"), []string{"depends_on"}},
		{service("environment: {A: b}"), service("environment: {A: c}"), []string{"environment"}},
		{service("log: {console: raw}"), service(""), []string{"log"}},
		{service("log: {memory: 64KiB, console: {wait: no}}") + "log: {rotate: {keep: 3}, readers: [ops]}\n", service(""), nil},
		{service("") + "log: {overflow: drop, memory: 1MiB}\n", service("log: {memory: 1MiB}"), nil},
		{oneshot(""), oneshot("required: false"), []string{"required"}},
		{oneshot("timeout: 3s"), oneshot("retries: 3"), []string{"retries", "timeout"}},
		{oneshot("down: [a]"), "oneshots: {web: {up: [other]}}\n", []string{"down", "up"}},
	}
	const other = "services: {a: {command: [a]}}\n"
	find := func(text string) *unit.Spec {
		c, err := fromText(nil, text, other)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all := slices.Concat(c.Services, c.Oneshots)
		return &all[slices.IndexFunc(all, func(s unit.Spec) bool { return s.Name == "web" })]
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, Keys(find(test.first), find(test.second))); diff != "" {
			t.Errorf("%q and %q, want -, got +:\n%s", test.first, test.second, diff)
		}
	}
}
