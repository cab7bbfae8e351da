<?php
// A signal would end a sleep early: this takes 2 seconds whatever comes.
file_put_contents('php://stderr', "app: asked\n");
for ($end = microtime(true) + 2; microtime(true) < $end;) {
    usleep(10000);
}
echo "hello\n";
