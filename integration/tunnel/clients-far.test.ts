import { describeClients } from './client-suite.ts';

await describeClients('a tunnel', { delayMs: 40, lossPercent: 1 });
