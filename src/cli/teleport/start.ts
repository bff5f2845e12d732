import { fileURLToPath } from 'node:url';
import { isCoded } from '../../base/errors.ts';
import { readConfiguration } from '../../process/configuration.ts';
import { openLogger } from '../../process/logger.ts';
import { handleSignals } from '../../process/signals.ts';
import { startTeleport } from '../../process/teleport.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/** How long a QUIT waits for those who are served: without limit. */
const drainMs = Number.MAX_SAFE_INTEGER;

/** `teleport start`: serves until a signal ends it. Answers 0 after an orderly stop. */
export async function start(invocation: Invocation, io: CliIo): Promise<number> {
  const configuration = readConfiguration(
    {
      config: invocation.text('config'),
      configString: invocation.text('config-string'),
      roles: invocation.text('roles'),
      nodename: invocation.text('nodename'),
      listenIp: invocation.text('listen-ip'),
      advertiseIp: invocation.text('advertise-ip'),
      labels: invocation.text('labels'),
      pidFile: invocation.text('pid-file'),
      diagAddr: invocation.text('diag-addr'),
      debug: invocation.on('debug'),
      permitUserEnv: invocation.on('permit-user-env'),
      insecure: invocation.on('insecure'),
      insecureNoTls: invocation.on('insecure-no-tls'),
    },
    io.env,
  );
  // The configuration may hold secrets: no child inherits it.
  delete process.env['TELEPORT_CONFIG'];
  const { logger, close } = openLogger(configuration.log);
  const sink = logger('process');
  const bug = (kind: string) => (e: unknown) => {
    sink.error(`${kind}: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`);
  };
  process.on('unhandledRejection', bug('a failure that nobody handled'));
  process.on('uncaughtException', (e) => {
    bug('an exception that nobody handled')(e);
    void close().finally(() => process.exit(70));
  });

  let ask: (request: { graceMs: number; reason: string }) => void = () => undefined;
  const asked = new Promise<{ graceMs: number; reason: string }>((resolve) => {
    ask = resolve;
  });
  let stopNow: () => void = () => undefined;
  const impatient = new Promise<void>((resolve) => {
    stopNow = resolve;
  });
  const unhandle = handleSignals(
    {
      stop: (reason) => {
        ask({ graceMs: 0, reason });
        stopNow();
      },
      drain: (reason) => {
        ask({ graceMs: drainMs, reason });
      },
    },
    sink,
  );
  try {
    const teleport = await startTeleport(configuration, {
      world: io.world,
      logger,
      print: (line) => {
        if (!configuration.debug) io.stdout.write(`${line}\n`);
      },
      programPath: [
        process.execPath,
        ...process.execArgv,
        fileURLToPath(new URL(import.meta.resolve(ownProgram()))),
      ],
    });
    const { graceMs, reason } = await asked;
    sink.info(`${reason}: stopping${graceMs > 0 ? ' when the last client has left' : ''}`);
    const stopped = teleport.stop(graceMs);
    // A TERM during a drain ends it at once.
    await Promise.race([stopped, impatient.then(() => teleport.stop(0))]);
    return 0;
  } catch (e) {
    if (isCoded(e)) sink.error(`initialization failed: ${e.message}`);
    throw e;
  } finally {
    unhandle();
    await close();
  }
}

/** What node was started with: the bundle, or the source. */
const ownProgram = (): string => `file://${process.argv[1] ?? ''}`;
