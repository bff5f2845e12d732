import { fileURLToPath } from 'node:url';
import { second } from '../../base/duration.ts';
import { endProcess } from '../../base/end-process.ts';
import { startTimer } from '../../base/timers.ts';
import { type Configuration, readConfiguration } from '../../process/configuration/configuration.ts';
import { runDaemon } from '../../process/lifecycle/daemon.ts';
import { adoptInheritance } from '../../process/lifecycle/inheritance.ts';
import { outliveStandardStreams } from '../../process/logging/standard-streams.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { exitStatusOf } from '../errors.ts';

const toldWithinMs = 2 * second;

/** `teleport start`: serves until a signal ends it. Answers 0 after an orderly stop. */
export async function start(invocation: Invocation, io: CliIo): Promise<number> {
  const streams = outliveStandardStreams();
  // Whatever whoever starts us had: no file of ours is for others, unless it sets another mode itself.
  process.umask(0o077);
  const inheritance = adoptInheritance(process.env);
  // The configuration may hold secrets: no child inherits it. A successor is given it again.
  const { TELEPORT_CONFIG: configured } = process.env;
  delete process.env['TELEPORT_CONFIG'];
  const forSuccessor = configured === undefined ? {} : { TELEPORT_CONFIG: configured };
  const configuration = (): Configuration =>
    readConfiguration(
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
        authServers: invocation.list('auth-server'),
        token: invocation.text('token'),
        caPins: invocation.list('ca-pin'),
        leaveClusters: invocation.list('leave-cluster'),
      },
      { ...io.env, ...forSuccessor },
    );
  const serving = runDaemon(configuration, inheritance, {
    world: io.world,
    print: (line) => {
      if (!invocation.on('debug')) io.stdout.write(`${line}\n`);
    },
    programPath: [
      process.execPath,
      ...process.execArgv,
      fileURLToPath(new URL(import.meta.resolve(ownProgram()))),
    ],
    commandLine: ownCommandLine(),
    env: process.env,
    forSuccessor,
    streams,
  });
  try {
    await serving;
  } catch (e) {
    // Our caller writes why, and waits for whoever reads it: who never reads does not keep this process. The
    // log has it, too.
    startTimer(() => endProcess(exitStatusOf(e)), toldWithinMs);
    throw e;
  }
  // Nobody reads what is still in a pipe: waiting for it is what our caller does.
  if (!(await streams.flushed())) endProcess(0);
  return 0;
}

/**
 * The launcher passes on the name it was called by: a link that points elsewhere since then starts what is
 * there now. Without a launcher, node and what it was started with.
 */
function ownCommandLine(): string[] {
  const { TELEPORT_PROGRAM: launcher } = process.env;
  const program =
    launcher === undefined || launcher === ''
      ? [process.execPath, ...process.execArgv, process.argv[1] ?? '']
      : [launcher];
  return [...program, ...process.argv.slice(2)];
}

/** What node was started with: the bundle, or the source. */
const ownProgram = (): string => `file://${process.argv[1] ?? ''}`;
