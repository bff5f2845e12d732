import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { until } from './run-program.ts';
import { motoPackages } from './moto-packages.ts';
import { freePorts } from './own-ports.ts';

/** An engine of DynamoDB, or of S3, on this machine. */
export interface DynamodbEngine {
  readonly name: string;
  readonly endpoint: string;
  close(): Promise<void>;
}

async function answering(
  endpoint: string,
  child: ChildProcess,
  name: string,
  said: () => string,
): Promise<void> {
  await until(`${name} to answer`, async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${said()}`);
    return (await fetch(endpoint).catch(() => undefined)) === undefined ? undefined : true;
  });
}

async function start(
  name: string,
  command: string,
  args: readonly string[],
  port: number,
  env = process.env,
): Promise<DynamodbEngine> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-4_000)));
  const endpoint = `http://127.0.0.1:${port}`;
  await answering(endpoint, child, name, () => said);
  return {
    name,
    endpoint,
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((done) => child.once('close', done));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The engine from npm, in memory. */
export async function startDynalite(): Promise<DynamodbEngine> {
  const [port = 0] = await freePorts(1);
  const folder = resolve(createRequire(import.meta.url).resolve('dynalite/package.json'), '..');
  const args = [
    join(folder, 'cli.js'),
    `--port=${port}`,
    '--createTableMs=0',
    '--deleteTableMs=0',
    '--updateTableMs=0',
  ];
  return start('dynalite', process.execPath, args, port);
}

/**
 * moto's engine, in memory: fetched when it is not here. Undefined, with the reason printed, where it cannot
 * be had.
 * @throws Error with the reason instead where `CI` is set: there the tests are to run on both engines.
 */
export const startMoto = (): Promise<DynamodbEngine | undefined> => startMotoOf('dynamodb');

/** moto's S3, in the same way. */
export const startMotoS3 = (): Promise<DynamodbEngine | undefined> => startMotoOf('s3');

async function startMotoOf(service: 'dynamodb' | 's3'): Promise<DynamodbEngine | undefined> {
  let packages: string;
  try {
    packages = await motoPackages();
  } catch (error) {
    if (process.env['CI']) throw new Error('moto cannot be had', { cause: error });
    console.log(`moto is not tried: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  const [port = 0] = await freePorts(1);
  const env = { ...process.env, PYTHONPATH: packages };
  return start(
    'moto',
    'python3',
    [resolve('integration/harness/moto/serve.py'), String(port), service],
    port,
    env,
  );
}

/** Both engines, or dynalite alone where moto cannot be had. */
export async function startDynamodbEngines(): Promise<readonly DynamodbEngine[]> {
  const moto = await startMoto();
  return [await startDynalite(), ...(moto === undefined ? [] : [moto])];
}
