// A transport as an app brings it: the platform's own network stack, here the JDK's (OkHttp on Android).

import java.io.ByteArrayOutputStream
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.net.http.WebSocket
import java.net.http.WebSocketHandshakeException
import java.nio.ByteBuffer
import java.time.Duration
import java.util.concurrent.CompletionStage
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.ClosedReceiveChannelException
import kotlinx.coroutines.future.await
import kotlinx.coroutines.withTimeoutOrNull
import uniffi.gendan.HttpAnswer
import uniffi.gendan.Transport
import uniffi.gendan.TransportException

private class Incoming : WebSocket.Listener {
    val messages = Channel<ByteArray>(Channel.UNLIMITED)
    private val part = ByteArrayOutputStream()

    override fun onBinary(socket: WebSocket, data: ByteBuffer, last: Boolean): CompletionStage<*>? {
        val bytes = ByteArray(data.remaining())
        data.get(bytes)
        part.write(bytes)
        if (last) {
            messages.trySend(part.toByteArray())
            part.reset()
        }
        socket.request(1)
        return null
    }

    override fun onClose(socket: WebSocket, status: Int, reason: String): CompletionStage<*>? {
        messages.close()
        return null
    }

    override fun onError(socket: WebSocket, error: Throwable) {
        messages.close()
    }
}

class Sockets : Transport {
    private val http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build()
    private val open = ConcurrentHashMap<ULong, Pair<WebSocket, Incoming>>()
    private val numbers = AtomicLong()

    private fun find(connection: ULong) = open[connection] ?: throw TransportException.Closed("no such connection")

    override suspend fun post(url: String, json: String, limitMs: ULong): HttpAnswer {
        val request = HttpRequest.newBuilder(URI.create(url))
            .timeout(Duration.ofMillis(limitMs.toLong()))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(json))
            .build()
        try {
            val answer = http.sendAsync(request, HttpResponse.BodyHandlers.ofString()).await()
            return HttpAnswer(answer.statusCode().toUShort(), answer.body())
        } catch (error: java.io.IOException) {
            throw TransportException.Unreachable(error.toString())
        }
    }

    override suspend fun connect(url: String, token: String, limitMs: ULong): ULong {
        val incoming = Incoming()
        try {
            val socket = http.newWebSocketBuilder()
                .connectTimeout(Duration.ofMillis(limitMs.toLong()))
                .header("Authorization", "Bearer $token")
                .buildAsync(URI.create(url), incoming)
                .await()
            val number = numbers.incrementAndGet().toULong()
            open[number] = Pair(socket, incoming)
            return number
        } catch (error: WebSocketHandshakeException) {
            throw TransportException.Status(error.response.statusCode().toUShort(), "")
        } catch (error: java.io.IOException) {
            throw TransportException.Unreachable(error.toString())
        }
    }

    override suspend fun send(connection: ULong, message: ByteArray) {
        val (socket, _) = find(connection)
        try {
            socket.sendBinary(ByteBuffer.wrap(message), true).await()
        } catch (error: java.io.IOException) {
            throw TransportException.Closed(error.toString())
        }
    }

    override suspend fun receive(connection: ULong, limitMs: ULong): ByteArray {
        val (_, incoming) = find(connection)
        try {
            return withTimeoutOrNull(limitMs.toLong()) { incoming.messages.receive() } ?: throw TransportException.TimedOut()
        } catch (error: ClosedReceiveChannelException) {
            throw TransportException.Closed(error.toString())
        }
    }

    override fun close(connection: ULong) {
        open.remove(connection)?.first?.sendClose(WebSocket.NORMAL_CLOSURE, "")
    }
}
