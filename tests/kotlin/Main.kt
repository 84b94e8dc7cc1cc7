// Three devices of one company, by the Kotlin bindings, against a relay given as argument.
//
// Arguments: URL CODE_OFFICE CODE_SALES CODE_CREW. The company runs the small policy of the tests and has
// the store 一店. The office's device goes over a transport of this program, as a phone's app has one;
// the others over the sockets that are built in. The last line begins with "ok".

import java.io.File
import java.nio.file.Files
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import uniffi.gendan.Cancel
import uniffi.gendan.Case
import uniffi.gendan.EvidenceWish
import uniffi.gendan.FieldClient
import uniffi.gendan.FieldException
import uniffi.gendan.ItemWish
import uniffi.gendan.Listener
import uniffi.gendan.OrderWish
import uniffi.gendan.Point
import uniffi.gendan.Proof
import uniffi.gendan.SignatureWish
import uniffi.gendan.StepWish
import uniffi.gendan.Stroke
import uniffi.gendan.SyncState
import uniffi.gendan.uniffiEnsureInitialized

val KEY = ByteArray(32) { it.toByte() }
const val LIMIT_MS: Long = 20_000

suspend fun FieldClient.inStep(): SyncState = sync(LIMIT_MS.toULong(), null)

fun Case.value(key: String) = fields.first { it.key == key }.value

fun refusal(code: String, call: () -> Unit): FieldException.Refused {
    try {
        call()
    } catch (error: FieldException.Refused) {
        check(error.code == code) { error.code }
        check(error.reason.isNotEmpty() && error.reasonEn.isNotEmpty() && !error.retryable)
        return error
    }
    error("$code was expected")
}

/** Keeps what a watch hears until an order has come. */
class Ear : Listener {
    val order = CompletableDeferred<String>()

    override fun changed(docs: List<String>, state: SyncState) {
        docs.firstOrNull { it.startsWith("order:") }?.let { order.complete(it) }
    }
}

/** Sales takes an order without a network; the office hears of it while connected. */
suspend fun offlineOrder(office: FieldClient, sales: FieldClient) = coroutineScope {
    val sofa = ItemWish(product = "沙发", model = "L3", quantity = 1u)
    val fields = mapOf("customer" to "王女士", "phone" to "13800000001", "delivery_date" to "2026-12-01")
    sales.openOrder(OrderWish(number = "KT1", store = "一店", fields = fields, items = listOf(sofa)))
    check(sales.syncState().unsent == 1u)
    val error = refusal("role_missing") { sales.step("KT1", StepWish(step = "reviewed")) }
    check("领导" in error.reason)
    val ear = Ear()
    val cancel = Cancel()
    val watching = async {
        try {
            office.watch(ear, cancel)
            error("a watch ends with an error")
        } catch (stopped: FieldException.Offline) {
            check(stopped.code == "stopped") { stopped.code }
        }
    }
    sales.inStep()
    withTimeout(LIMIT_MS) { ear.order.await() }
    cancel.cancel()
    watching.await()
    check(office.orders().single().number == "KT1")
}

/** The office places it, the crew delivers with the customer's signature, all see it. */
suspend fun delivered(office: FieldClient, crew: FieldClient) {
    office.step("KT1", StepWish(step = "reviewed"))
    office.clear("KT1", false, "2808", "transfer", listOf())
    val words = EvidenceWish(proof = Proof.TEXT_MESSAGE, text = "已向工厂下单")
    office.step("KT1", StepWish(step = "placed", evidence = listOf(words)))
    office.assign("KT1", listOf("C01"), "2026-12-01", "delivered", null, null)
    office.inStep()
    crew.inStep()
    val photo = crew.attach("KT1", "image/jpeg", ByteArray(400_000) { 7 })
    val proof = EvidenceWish(proof = Proof.PHOTO, blob = photo, media = "image/jpeg")
    crew.step("KT1", StepWish(step = "fetched", evidence = listOf(proof)))
    val stroke = Stroke(listOf(Point(10u, 20u), Point(300u, 400u)))
    crew.step("KT1", StepWish(step = "delivered", signature = SignatureWish("王女士", listOf(stroke))))
    val state = crew.inStep()
    check(state.unsent == 0u && state.blobsPending == 0u && state.held == 0u) { state }
    office.inStep()
    check(office.case("KT1").steps.any { it.step == "delivered" && it.signed })
}

/** An edit after the seal is proposed, and in force once the office has approved it. */
suspend fun otherSidesEdit(office: FieldClient, sales: FieldClient) {
    sales.inStep()
    sales.edit("KT1", mapOf("delivery_date" to "2026-12-09"))
    sales.inStep()
    office.inStep()
    val seen = office.case("KT1")
    check(seen.value("delivery_date") == "2026-12-01" && seen.proposed.single().proposed == "2026-12-09")
    office.approve("KT1", null)
    office.inStep()
    sales.inStep()
    check(sales.case("KT1").value("delivery_date") == "2026-12-09")
    check(office.check(LIMIT_MS.toULong()).agree)
}

/** Errors by what an app does about them. */
suspend fun errors(folder: File, url: String, code: String) {
    try {
        FieldClient.enrol(File(folder, "again").path, KEY, url, code)
        error("a used code must be refused")
    } catch (error: FieldException.Refused) {
        check(!error.retryable)
    }
    try {
        FieldClient.enrolOver(File(folder, "away").path, KEY, "http://127.0.0.1:1", code, Sockets())
        error("nobody is there")
    } catch (error: FieldException.Offline) {
        check(error.retryable)
    }
    try {
        FieldClient.open(File(folder, "never").path, KEY)
        error("nobody enrolled it")
    } catch (error: FieldException.NotEnrolled) {
        check(error.code == "not_enrolled")
    }
}

fun main(args: Array<String>) = runBlocking {
    uniffiEnsureInitialized()
    val (url, codeOffice, codeSales, codeCrew) = args
    val folder = Files.createTempDirectory("gendan-kotlin").toFile()
    try {
        fun at(name: String) = File(folder, name).path
        val office = FieldClient.enrolOver(at("office"), KEY, url, codeOffice, Sockets())
        val sales = FieldClient.enrol(at("sales"), KEY, url, codeSales)
        val crew = FieldClient.enrol(at("crew"), KEY, url, codeCrew)
        listOf(office, sales, crew).forEach { it.inStep() }
        offlineOrder(office, sales)
        delivered(office, crew)
        otherSidesEdit(office, sales)
        errors(folder, url, codeOffice)
        listOf(office, sales, crew).forEach { it.close() }
    } finally {
        folder.deleteRecursively()
    }
    println("ok: enrolled, worked offline, signed, synced, saw the other side, met typed errors")
}
