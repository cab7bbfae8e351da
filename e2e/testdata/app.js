// An HTTP server as one is taught to write it: at TERM it takes no more
// requests, and leaves when the last one has its answer. Each takes 3 seconds.
const server = require('http').createServer((request, response) => {
  console.log('app: asked')
  setTimeout(() => response.end('hello\n'), 3000)
})
server.listen(process.env.SOCKET, () => console.log('app: serving'))
process.on('SIGTERM', () => {
  console.log('app: TERM')
  server.close(() => process.exit(0))
})
