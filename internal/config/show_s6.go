package config

func (p *printer) s6(s *S6) {
	if len(s.Scan) == 0 {
		return
	}
	p.line(0, "s6:")
	p.list(1, "scan", s.Scan)
	p.text(1, "owner", s.Owner)
	p.text(1, "version", s.Version)
	p.line(1, "container_environment: %t", s.Environment)
	p.line(1, "process_name: %t", s.ProcessName)
}
