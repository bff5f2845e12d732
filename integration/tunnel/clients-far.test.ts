import { describeClients } from './client-suite.ts';

describeClients('a tunnel', { delayMs: 40, lossPercent: 1 });
