package config

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// scanDirectory is the path of a scan directory.
type scanDirectory struct{ scalar }

func (v *scanDirectory) check() error {
	switch {
	case !path.IsAbs(v.text):
		return fmt.Errorf("%s is no absolute path", v.shown())
	case slices.Contains(strings.Split(v.text, "/"), ".."):
		return fmt.Errorf(`%s has a ".."`, v.shown())
	case path.Clean(v.text) == "/":
		return fmt.Errorf("%s is no directory of services", v.shown())
	}
	return nil
}

// s6Version is a release of s6; empty counts as not given.
type s6Version struct{ scalar }

var s6VersionForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){1,3}$`) })

func (v *s6Version) check() error {
	if v.text != "" && !s6VersionForm().MatchString(v.text) {
		return fmt.Errorf("%s is no version such as 2.11.3.2", v.shown())
	}
	return nil
}
