run lambda { |_|
  $stderr.puts 'app: asked'
  sleep 2
  [200, { 'content-type' => 'text/plain' }, ["hello\n"]]
}
