package entry

const (
	sysFcntl  = 25
	sysPipe2  = 59
	sysGetpid = 172
)
