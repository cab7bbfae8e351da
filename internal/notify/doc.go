// Package notify is sd_notify(3) in both directions: what services say to us,
// by a socket or by a newline on a descriptor as under s6, and what we say to
// the service manager above us.
package notify
