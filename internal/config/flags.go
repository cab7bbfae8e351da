package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// flags is the command line as kong reads it. Nil is a flag that was not given.
type flags struct {
	Config *path `group:"The file:" short:"c" placeholder:"FILE" help:"Read services and settings from this YAML file (default: /etc/exeunt.yaml, if there is one). EXEUNT_CONFIG may also hold the YAML itself."`

	GracePeriod      *grace    `group:"The stop:" placeholder:"DURATION|auto" help:"From the first stop signal to the platform's SIGKILL: exeunt is gone before. A bare number is seconds, 0 kills at once, auto takes the platform's default at its word (default: that too, but only hooks are cut for it and nobody is killed)."`
	StopOn           *stopOn   `group:"The stop:" placeholder:"SIGNAL,..." help:"Signals that begin the stop (default: TERM,INT,RTMIN+3,PWR). All others are forwarded."`
	StopSignal       *ladder   `group:"The stop:" placeholder:"LADDER" help:"What the program is sent: one signal, or several with the time each has, as in \"QUIT 15s, TERM\" (default: TERM, or what --rewrite makes of the signal received)."`
	Rewrite          []string  `group:"The stop:" placeholder:"FROM:TO" sep:"none" help:"Forward TO instead of FROM; FROM:drop forwards nothing. Repeatable."`
	KillMode         *killMode `group:"The stop:" placeholder:"MODE" help:"Whom the stop signal reaches first: the main process and, when it has gone, its process group (cascade, the default), its whole group at once (group), or the main process alone (main)."`
	StragglerTimeout *duration `group:"The stop:" placeholder:"DURATION" help:"How long everyone else may live when the main process ends by itself (default: 5s, or the grace period if that is less)."`

	PreStart    []hook    `group:"Hooks, in order and repeatable:" placeholder:"HOOK" sep:"none" help:"Before the program starts; a failure means it is not started."`
	PostStart   []hook    `group:"Hooks, in order and repeatable:" placeholder:"HOOK" sep:"none" help:"Once it has started; a failure stops it."`
	PreStop     []hook    `group:"Hooks, in order and repeatable:" placeholder:"HOOK" sep:"none" help:"When the stop begins, while the program still serves."`
	PostStop    []hook    `group:"Hooks, in order and repeatable:" placeholder:"HOOK" sep:"none" help:"When everyone has gone, after a crash too."`
	HookTimeout *duration `group:"Hooks, in order and repeatable:" placeholder:"DURATION" help:"How long a hook may take (default: 5s); always cut to what the grace period allows."`

	User       *user `group:"The program:" placeholder:"USER[:GROUP]" help:"Run it as this user; names or numbers."`
	WorkingDir *path `group:"The program:" placeholder:"DIR" help:"Run it in this directory."`
	NoNewPrivs bool  `group:"The program:" help:"Set no_new_privs: set-user-ID programs gain nothing."`
	TTY        *tty  `group:"The program:" name:"tty" placeholder:"app|init" help:"Who gets the terminal's signals, Ctrl-C among them (default: app); init begins the stop with them."`

	ExitCodes  *exitCodes `group:"The exit code:" placeholder:"CODE=CODE,..." help:"Exit with another code than the program's, as in 143=0."`
	RemapExit  []exitCode `group:"The exit code:" placeholder:"CODE" sep:"none" help:"Exit with 0 instead of CODE. Repeatable."`
	OnStopExit *exitCode  `group:"The exit code:" placeholder:"CODE" help:"Exit with CODE after every stop that was asked for."`

	Log      *logFormat `group:"Log and report:" placeholder:"FORMAT" help:"auto, json or console (default: auto, which is console on a terminal)."`
	LogLevel *logLevel  `group:"Log and report:" placeholder:"LEVEL" help:"debug, info, warn or error (default: info)."`
	Quiet    bool       `group:"Log and report:" help:"Warnings and errors only."`
	Report   *path      `group:"Log and report:" placeholder:"FILE" help:"Write what happened there, as JSON."`

	Control *control `group:"Asking a running container:" placeholder:"PATH|auto|off" help:"The control socket (default: auto with the services of a file, else off). auto is exeunt-ID.sock in /run, /dev/shm or /tmp, where the other verbs find it."`
	HTTP    *address `group:"Asking a running container:" name:"http" placeholder:"HOST:PORT" help:"Serve /livez, /readyz and /metrics there, or at unix:PATH."`
	JSON    bool     `group:"Asking a running container:" name:"json" help:"With status: as JSON."`
	Watch   bool     `group:"Asking a running container:" help:"With status: go on showing it."`
	All     bool     `group:"Asking a running container:" help:"With stop: end the container."`

	After   *duration `group:"Flags of other verbs:" placeholder:"DURATION" help:"With rehearse: begin the stop so long after the start (default: 1s)."`
	Timeout *duration `group:"Flags of other verbs:" placeholder:"DURATION" help:"With probe: how long it may take (default: 5s)."`
	Schema  bool      `group:"Flags of other verbs:" help:"With check: print the JSON Schema of the file."`
	Help    bool      `group:"Flags of other verbs:" short:"h" hidden:""`

	sources map[string]string // flag's name to what gave it, "--user" or "EXEUNT_USER"
}

const description = `exeunt runs a program as a container's init: it reaps zombies, forwards
signals, runs hooks, and when the stop begins it gets every process out, in
order, inside the grace period.

Usage:
  exeunt [FLAGS] [--] COMMAND [ARG...]           run COMMAND ("exeunt run" in full)
  exeunt run [-c FILE] [FLAGS] [-- COMMAND...]   run the services of FILE, and COMMAND
  exeunt check [-c FILE] [FLAGS] [-- COMMAND...] say what would be done, and whether it fits
  exeunt rehearse [FLAGS] [--] COMMAND [ARG...]  start it, stop it, show what happened
  exeunt probe URL|tcp://HOST:PORT|drain:PORT    try it once: exit code 0, or 1 and why
  exeunt copy DEST                               put this binary there, a file or a folder
  exeunt convert supervisord.conf|Procfile|DIR   print it as YAML for -c; DIR is an s6-rc.d
  exeunt status [--json] [--watch] [SERVICE...]  how the services of a running container are
  exeunt start|stop|restart|reload SERVICE...    returns when that is done
  exeunt signal SIGNAL SERVICE...                as in "exeunt signal HUP web"
  exeunt stop --all                              begin the stop of the container
  exeunt prestop                                 the same; returns when the pre-stop hooks are done
  exeunt version
  exeunt help

Examples:
  ENTRYPOINT ["/exeunt", "--"]
  exeunt --grace-period 30s --stop-signal QUIT -- nginx -g 'daemon off;'
  exeunt --grace-period 30s --pre-stop sleep:5s --pre-stop ./deregister -- ./server
  exeunt rehearse --grace-period 10s -- npm start

A HOOK is one of
  sleep:DURATION            wait
  signal:SIGNAL             send the program a signal
  [METHOD] http(s)://...    make a request; any 2xx or 3xx answer will do
  tcp://HOST:PORT           connect
  drain, drain:PORT,...     wait until the connections to our ports are idle
or a command, which is split into words as a shell does but run without one:
write sh -c '...' for one.

Every flag has an environment form, --grace-period is EXEUNT_GRACE_PERIOD; the
variable of a repeatable flag holds one entry a line. A flag goes before its
variable, that before the file. What is wrong is said, a line each, with exit
code 125.`

// A parser is kong with our flags.
type parser struct {
	kong  *kong.Kong
	flags *flags
	out   bytes.Buffer
}

func newParser() *parser {
	p := &parser{flags: &flags{sources: map[string]string{}}}
	p.kong = kong.Must(p.flags, kong.Name("exeunt"), kong.Description(description), kong.NoDefaultHelp(),
		kong.Writers(&p.out, &p.out),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, NoAppDescFormat: true}))
	return p
}

// takesValue reports whether a flag without "=" has its value in the next
// argument. Flags that kong does not know are kong's to complain of.
func takesValue(name string) bool {
	switch name {
	case "--help", "-h", "--quiet", "--no-new-privs", "--json", "--watch", "--all", "--schema":
		return false
	}
	return true
}

// parse reads the flags, and those variables whose flag was not given.
func (p *parser) parse(given []option, ours []variable) error {
	var args []string
	for _, o := range given {
		if !o.valued && p.flag(o.name) != nil && takesValue(o.name) {
			return fmt.Errorf("%s needs a value", o.name)
		}
		args = append(args, o.String())
		p.flags.sources[strings.TrimPrefix(o.name, "--")] = o.name
	}
	for _, v := range ours {
		name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(v.name, prefix), "_", "-"))
		if name == "" || name == "help" || asVariable("--"+name) != v.name {
			return fmt.Errorf(`unknown variable %s, see "exeunt help"`, v.name)
		}
		if p.flags.sources[name] == "" {
			p.flags.sources[name] = v.name
			flag := p.flag("--" + name)
			for _, value := range entries(v.value, flag != nil && flag.IsSlice()) {
				args = append(args, "--"+name+"="+value)
			}
		}
	}
	_, err := p.kong.Parse(args)
	if err != nil {
		return p.blame(err)
	}
	return nil
}

// entries are the values that a variable holds: one a line where the flag is
// repeatable.
func entries(value string, repeatable bool) (list []string) {
	values := []string{value}
	if repeatable {
		values = strings.Split(value, "\n")
	}
	for _, value := range values {
		if value = strings.TrimSuffix(value, "\r"); strings.TrimSpace(value) != "" {
			list = append(list, value)
		}
	}
	return list
}

// blame puts the name of the variable into an error that names a flag, where
// the variable is what was given, and says where to look.
func (p *parser) blame(err error) error {
	names := regexp.MustCompile(`--[\w-]+`)
	text := err.Error()
	if strings.HasPrefix(text, "unknown flag") && !strings.Contains(text, "did you mean") {
		text += `, see "exeunt help"`
	}
	culprit := names.FindString(text)
	if source := p.flags.sources[strings.TrimPrefix(culprit, "--")]; !strings.HasPrefix(source, prefix) {
		return errors.New(text)
	}
	text, detail, _ := strings.Cut(text, ": ")
	text = names.ReplaceAllStringFunc(text, asVariable)
	if detail != "" {
		return errors.New(text + ": " + detail)
	}
	return errors.New(strings.Replace(text, "flag", "variable", 1))
}

// asVariable is the environment form of a flag.
func asVariable(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(flag, "--"), "-", "_"))
}

// flag is kong's view of a flag, nil if there is no such flag.
func (p *parser) flag(name string) *kong.Flag {
	for _, flag := range p.kong.Model.Flags {
		if "--"+flag.Name == name {
			return flag
		}
	}
	return nil
}

// usage is the help text.
func (p *parser) usage() (string, error) {
	ctx, err := kong.Trace(p.kong, nil)
	if err != nil {
		return "", err
	}
	err = ctx.PrintUsage(false)
	return strings.TrimLeft(p.out.String(), "\n"), err
}
