import { pause } from '../../base/backoff.ts';
import { endProcess } from '../../base/end-process.ts';
import { isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import { settleBeforeServing } from './before-serving.ts';
import type { Configuration } from '../configuration/configuration.ts';
import { diagnose } from '../diagnostics/diagnose.ts';
import { joinGenerations } from './generations.ts';
import type { ProcessRef } from '../../base/process-ref.ts';
import { endDaemon } from './end-daemon.ts';
import type { Inheritance } from './inheritance.ts';
import { Lifecycle } from './lifecycle.ts';
import { type Logger, openLogger, type OpenLogger, standardStreamOf } from '../logging/logger.ts';
import { saveRestart } from './restart-record.ts';
import { serviceManager } from './service-manager.ts';
import { handleSignals } from './signals.ts';
import type { StandardStreams } from '../logging/standard-streams.ts';
import { startSuccessor, SuccessorFailure } from './successor.ts';
import { findSystemLog } from '../logging/system-log.ts';
import { startTeleport, type TeleportProcess } from '../teleport.ts';
import { tellStart, tellUnit } from './tell-unit.ts';
import { UnitRole } from './unit-role.ts';
import { whyNoneTakesOver } from './whose-container.ts';
import { requireLogFile } from './writable.ts';

export interface DaemonDeps {
  readonly world: World;
  /** Receives the start lines users of 4.4 know. */
  readonly print: (line: string) => void;
  /** argv that runs our own hidden commands. */
  readonly programPath: readonly string[];
  /** The command that starts a successor: unresolved, so that the version on disk at that time runs. */
  readonly commandLine: readonly string[];
  /** Of this process, without the variables from a predecessor. */
  readonly env: NodeJS.ProcessEnv;
  /** Additional variables for a successor. */
  readonly forSuccessor: NodeJS.ProcessEnv;
  readonly streams: StandardStreams;
}

/** For a predecessor that is itself ending, or of a release that does not know the message. */
const releaseLimitMs = 2_000;

/**
 * Serves until a signal ends this process; hands over to successors in the meantime. Resolves after an
 * orderly end.
 * @throws CodedError when it cannot start; nothing is left behind then, and a waiting predecessor has been
 *   informed.
 */
export async function runDaemon(
  readConfiguration: () => Configuration,
  inheritance: Inheritance,
  deps: DaemonDeps,
): Promise<void> {
  try {
    const configuration = readConfiguration();
    requireLogFile(configuration.log.output);
    const log = openLogger(configuration.log);
    try {
      await serve(configuration, deps, { inheritance, log, logger: telling(log.logger, inheritance) });
    } finally {
      await log.close();
    }
  } catch (e) {
    inheritance.tell({ type: 'failed', reason: messageOf(e) });
    throw e;
  }
}

interface Standing {
  readonly inheritance: Inheritance;
  readonly log: OpenLogger;
  /** Writes to `log`, and to a predecessor that waits for us. */
  readonly logger: Logger;
}

async function serve(configuration: Configuration, deps: DaemonDeps, standing: Standing): Promise<void> {
  const { inheritance, log, logger } = standing;
  const { dataDir, pidFile } = configuration;
  const sink = logger('process');
  reportBugs(sink, log.close);
  deps.streams.tellTo(sink, standardStreamOf(configuration.log.output));
  if (inheritance.warning !== undefined) sink.warn(inheritance.warning);
  const lock = settleBeforeServing(configuration, inheritance, sink);
  const generations = joinGenerations(dataDir, deps.commandLine, {
    sink,
    hasPredecessor: inheritance.hasPredecessor,
  });
  const manager = serviceManager(deps.env, sink);
  let teleport: TeleportProcess | undefined;
  const unit = new UnitRole(manager, {
    pidFile,
    hasPredecessor: inheritance.hasPredecessor,
    onMain: () => {
      lock.sign();
    },
  });
  const lifecycle = new Lifecycle({
    sink,
    standsAlone: whyNoneTakesOver(),
    older: () => generations.older(),
    newer: () => generations.newer(),
    signal: (ref, name) => {
      send(ref, name, sink);
    },
    startSuccessor: async (cancelled) => {
      const letGoOn = teleport?.hold();
      try {
        return await startSuccessor({
          commandLine: deps.commandLine,
          listeners: teleport?.handOver() ?? [],
          lockFd: lock.fd,
          limitMs: configuration.restartLimitMs,
          env: { ...deps.env, ...deps.forSuccessor },
          cancelled,
        });
      } catch (e) {
        letGoOn?.();
        throw e;
      }
    },
    tell: {
      reloading: () => {
        unit.reloading();
      },
      failed: (e) => {
        saveRestart(dataDir, { status: 'failed', at: deps.world.now(), ...reasonOf(e) }, sink);
        unit.reloadFailed(e);
      },
      succeeded: () => {
        unit.handOver();
        saveRestart(dataDir, { status: 'succeeded', at: deps.world.now() }, sink);
      },
      main: () => void unit.beMain(),
    },
  });
  const unhandle = handleSignals({
    stop: (reason) => {
      lifecycle.stop(reason);
    },
    drain: (reason) => {
      lifecycle.drain(reason);
    },
    reload: () => {
      lifecycle.reload();
    },
    fork: () => {
      lifecycle.fork();
    },
    diagnose: () => {
      log.output.reopen();
      const systemLog = findSystemLog(configuration.log, deps.env);
      void diagnose(sink, {
        teleport,
        older: generations.older(),
        newer: generations.newer(),
        systemLog,
      });
    },
  });
  // A process that only drains does not keep others from the data directory.
  void lifecycle.ending.then(({ how }) => {
    if (how === 'drain') lock.release();
  });
  const stopSigns = manager.keepAlive(() => unit.isMain());
  const waiting = tellStart({ manager, unit, inheritance, sink, world: deps.world });
  let telling: { close(): void } | undefined;
  try {
    teleport = await startTeleport(configuration, {
      ...deps,
      logger,
      log: log.output,
      inheritance,
      onWait: (now) => {
        lifecycle.waits(now.size > 0);
        waiting?.waits(now);
      },
    });
    const { serving } = teleport;
    serving.catch(() => undefined); // awaited below, unless an ending comes first
    const ended = await Promise.race([serving, lifecycle.ending]);
    waiting?.close();
    // The services of a process that never served hold nothing that the end of the process does not release.
    if (ended?.how === 'at-once') {
      await unit.stopping();
      unit.leave();
      return;
    }
    if (ended !== undefined) {
      // Another process serves in its place.
      await endDaemon(teleport, lifecycle, {
        configuration,
        sink,
        isAlone: () => false,
        stopping: () => undefined,
      });
      return;
    }
    for (const one of inheritance.closeRest())
      sink.info('a listener was closed that the configuration no longer has', { listener: one });
    await beChildOfInit(inheritance, sink);
    await unit.beMain('serving');
    telling = tellUnit(teleport, { unit, sink, world: deps.world });
    inheritance.tell({ type: 'ready', pid: process.pid });
    lifecycle.serving();
    await endDaemon(teleport, lifecycle, {
      configuration,
      sink,
      isAlone: () => generations.newer().length === 0,
      stopping: () => {
        telling?.close();
        return unit.stopping();
      },
    });
    unit.leave();
  } catch (e) {
    lifecycle.fail();
    unit.leave();
    if (isCoded(e)) sink.error(`initialization failed: ${e.message}`);
    throw e;
  } finally {
    waiting?.close();
    telling?.close();
    stopSigns();
    unhandle();
    generations.leave();
    lock.release();
  }
}

/**
 * Waits until the shell by which the predecessor started us is gone: systemd watches only its own children.
 */
async function beChildOfInit(inheritance: Inheritance, sink: LogSink): Promise<void> {
  if (!inheritance.hasPredecessor) return;
  const { ppid: shell } = process;
  inheritance.tell({ type: 'serving', pid: process.pid });
  const end = performance.now() + releaseLimitMs;
  while (process.ppid === shell) {
    if (performance.now() > end) {
      sink.warn(
        'the previous process keeps the shell by which it started this one: systemd may not see when this one dies',
      );
      return;
    }
    await pause(5);
  }
}

function send(ref: ProcessRef, name: NodeJS.Signals, sink: LogSink): void {
  try {
    process.kill(ref.pid, name);
  } catch (e) {
    sink.warn(`${name} was not sent`, { pid: ref.pid, reason: messageOf(e) });
  }
}

const reasonOf = (
  e: unknown,
): { readonly reason: string; readonly exitCode: string; readonly lastLines: readonly string[] } => ({
  reason: messageOf(e),
  exitCode: e instanceof SuccessorFailure ? e.exitCode : '',
  lastLines: e instanceof SuccessorFailure ? e.lastLines : [],
});

/** Errors before we serve are also sent to the predecessor that waits for us, which outlives us. */
function telling(logger: Logger, inheritance: Inheritance): Logger {
  if (!inheritance.hasPredecessor) return logger;
  const tell = (message: string): void => {
    inheritance.tell({ type: 'line', text: message });
  };
  return (component) => {
    const sink = logger(component);
    return {
      ...sink,
      warn: (message, fields) => {
        tell(message);
        sink.warn(message, fields);
      },
      error: (message, fields) => {
        tell(message);
        sink.error(message, fields);
      },
    };
  };
}

function reportBugs(sink: LogSink, close: () => Promise<void>): void {
  const bug = (kind: string) => (e: unknown) => {
    sink.error(`${kind}: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`);
  };
  process.on('unhandledRejection', bug('an unhandled rejection'));
  process.on('uncaughtException', (e) => {
    bug('an unhandled exception')(e);
    void close().finally(() => endProcess(70));
  });
}
