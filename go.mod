module exeunt

go 1.26

require (
	github.com/alecthomas/kong v1.17.0
	github.com/rs/zerolog v1.35.1
	golang.org/x/sys v0.50.0
)
