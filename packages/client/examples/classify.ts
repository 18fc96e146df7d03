/** One request: texts in, labels out. `node examples/classify.ts http://127.0.0.1:8000` */
import { SpillwayClient } from '@spillway/client';

await using client = new SpillwayClient({ url: process.argv[2] ?? 'http://127.0.0.1:8000' });

const texts = ['my card has not arrived yet', 'I typed the wrong PIN three times'];
const { outputs, receipt } = await client.infer<{ label: string[] }>('intent', { text: texts }, { outputs: ['label'] });

for (const [row, text] of texts.entries()) console.log(`${outputs.label.data[row]}  ${text}`);
console.log(`rung ${receipt.rung}, ${receipt.runMs ?? 0} ms in the model, request ${receipt.requestId}`);
