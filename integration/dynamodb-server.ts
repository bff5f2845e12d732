import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { freePorts, run, until } from './cluster.ts';

/** A DynamoDB engine on this machine. */
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
): Promise<DynamodbEngine> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
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

const cache = resolve('node_modules/.cache/dynamodb-local');
const artifact = 'com.amazonaws:DynamoDBLocal:2.6.1';

/**
 * Amazon's own local engine, in memory: fetched from Maven Central when it is not here. Undefined, with the reason printed,
 * where Java 17 or Maven is missing.
 */
export async function startDynamodbLocal(): Promise<DynamodbEngine | undefined> {
  const lacking = await fetchLocal();
  if (lacking !== undefined) {
    console.log(`Amazon's local engine is not tried: ${lacking}`);
    return undefined;
  }
  const [port = 0] = await freePorts(1);
  const args = [
    `-Djava.library.path=${join(cache, 'jars')}`,
    '-DtelemetryOptOut=true',
    '-cp',
    join(cache, 'jars', '*'),
    'com.amazonaws.services.dynamodbv2.local.main.ServerRunner',
    '-inMemory',
    '-sharedDb',
    '-disableTelemetry',
    '-port',
    String(port),
  ];
  return start('DynamoDBLocal', 'java', args, port);
}

async function fetchLocal(): Promise<string | undefined> {
  if (existsSync(join(cache, 'complete'))) return undefined;
  for (const [tool, arg] of [
    ['java', '-version'],
    ['mvn', '-version'],
  ] as const) {
    const ran = await run(tool, [arg]).catch(() => undefined);
    if (ran?.code !== 0) return `there is no ${tool} on this machine`;
  }
  mkdirSync(cache, { recursive: true });
  const { writeFileSync } = await import('node:fs');
  writeFileSync(
    join(cache, 'pom.xml'),
    `<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>fetch</artifactId><version>1</version>
<dependencies><dependency><groupId>${artifact.split(':')[0] ?? ''}</groupId><artifactId>${artifact.split(':')[1] ?? ''}</artifactId><version>${artifact.split(':')[2] ?? ''}</version></dependency></dependencies></project>`,
  );
  const ran = await run(
    'mvn',
    ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(cache, 'jars')}`],
    {
      cwd: cache,
      timeoutMs: 300_000,
    },
  );
  if (ran.code !== 0 || !existsSync(join(cache, 'jars')) || readdirSync(join(cache, 'jars')).length < 10)
    return `Maven could not fetch ${artifact}: ${(ran.stdout + ran.stderr).slice(0, 500)}`;
  writeFileSync(join(cache, 'complete'), '');
  return undefined;
}
