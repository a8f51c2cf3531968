// Times ONNX Runtime on one network for bench/runtime_bench.cpp, which starts it:
//
//   node onnxruntime.mjs FOLDER FILE.onnx THREADS BATCH
//
// FOLDER holds node_modules/onnxruntime-node. A line with a number on the standard input runs the network so many times; the
// answer is a line with the milliseconds of one run.
import { createRequire } from 'module';
import { createInterface } from 'readline';
import { resolve } from 'path';

const [folder, file, threads, batch] = process.argv.slice(2);
const ort = createRequire(resolve(folder) + '/')('onnxruntime-node');
const session = await ort.InferenceSession.create(file, {
  intraOpNumThreads: Number(threads),
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  executionMode: 'sequential',
});
const size = Number(batch) * 3 * 224 * 224;
const values = new Float32Array(size);
for (let i = 0; i < size; ++i) values[i] = 2 * Math.random() - 1;
const feeds = { input: new ort.Tensor('float32', values, [Number(batch), 3, 224, 224]) };
await session.run(feeds);
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const times = Number(line);
  const start = process.hrtime.bigint();
  for (let i = 0; i < times; ++i) await session.run(feeds);
  console.log(Number(process.hrtime.bigint() - start) / 1e6 / times);
}
