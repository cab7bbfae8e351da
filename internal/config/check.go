package config

import "exeunt/supervisor"

func outlook(p *supervisor.Plan) (string, []string) { return "", nil }
