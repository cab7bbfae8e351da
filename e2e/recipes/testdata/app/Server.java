import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * Ends as Spring does with server.shutdown=graceful: from TERM on it takes no
 * more requests, finishes those that it has, and then takes as many
 * milliseconds as its argument says to hand over its work.
 */
public class Server {
    public static void main(String[] args) throws Exception {
        var requests = Executors.newFixedThreadPool(4);
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 80), 0);
        server.setExecutor(requests);
        server.createContext("/", exchange -> {
            System.out.println("app: asked");
            pause(2000);
            var answer = "hello\n".getBytes();
            exchange.sendResponseHeaders(200, answer.length);
            try (var body = exchange.getResponseBody()) {
                body.write(answer);
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            System.out.println("app: told");
            requests.shutdown();
            try {
                requests.awaitTermination(20, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                return;
            }
            pause(Long.parseLong(args[0]));
            System.out.println("app: handed over");
        }));
        server.start();
    }

    static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
