// Reads a JSON list of simulations, asks the engine about each, writes a JSON
// list of its answers. Where the engine's own check refuses an input, or drops
// condition keys that it does not know for the action, it is asked without the
// check, and the answer says so.
import { runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'

const names = { Allowed: 'Allowed', ExplicitlyDenied: 'ExplicitDeny', ImplicitlyDenied: 'ImplicitDeny' }
const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const answers = []
for (const { id, own, ...simulation } of JSON.parse(Buffer.concat(chunks).toString())) {
  answers.push({ id, ...(await ask(simulation, own)) })
}
process.stdout.write(JSON.stringify(answers))

async function ask(simulation, own) {
  let lenient = ''
  try {
    const response = await runSimulation(simulation, {})
    const ignored = (response.result?.ignoredContextKeys ?? []).filter((key) => own.includes(key))
    if (response.resultType !== 'error' && ignored.length === 0 && response.overallResult !== undefined) {
      return { result: names[response.overallResult] }
    }
    lenient = response.resultType === 'error' ? response.errors.message : `ignored ${ignored.join(', ')}`
  } catch (error) {
    lenient = String(error)
  }
  try {
    return { result: names[runUnsafeSimulation(simulation, {})], lenient }
  } catch (error) {
    return { result: '', lenient, error: String(error) }
  }
}
