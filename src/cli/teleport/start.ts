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

/** `teleport start`: serves until a signal ends it. Returns 0 after an orderly stop. */
export async function start(invocation: Invocation, io: CliIo): Promise<number> {
  const streams = outliveStandardStreams();
  // Whatever umask we were started with: files of ours are private, unless their code sets another mode.
  process.umask(0o077);
  const inheritance = adoptInheritance(process.env);
  // The configuration may contain secrets: no child inherits it. A successor gets it again.
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
        bootstrap: invocation.text('bootstrap'),
        leaveClusters: invocation.list('leave-cluster'),
      },
      { ...io.env, ...forSuccessor },
    );
  const serving = runDaemon(configuration, inheritance, {
    world: io.world,
    print: (line) => {
      if (!invocation.on('debug')) io.stdout.write(`${line}\n`);
    },
    programPath: [process.execPath, ...process.execArgv, fileURLToPath(ownProgram())],
    commandLine: ownCommandLine(),
    env: process.env,
    forSuccessor,
    streams,
  });
  try {
    await serving;
  } catch (e) {
    // Our caller prints the reason, and waits for its reader; a reader that never reads must not keep this
    // process alive. The log has the reason, too.
    startTimer(() => endProcess(exitStatusOf(e)), toldWithinMs);
    throw e;
  }
  // Pending output in a pipe is not read here: our caller waits for that.
  if (!(await streams.flushed())) endProcess(0);
  return 0;
}

/**
 * The launcher passes on the name it was called by, so that a link that points elsewhere since then starts
 * the current version. Without a launcher, node and what it was started with.
 */
function ownCommandLine(): string[] {
  const { TELEPORT_PROGRAM: launcher } = process.env;
  const program =
    launcher === undefined || launcher === ''
      ? [process.execPath, ...process.execArgv, process.argv[1] ?? '']
      : [launcher];
  return [...program, ...process.argv.slice(2)];
}

/** The program that node was started with: the bundle, or the source. */
const ownProgram = (): string => `file://${process.argv[1] ?? ''}`;
