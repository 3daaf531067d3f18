// The long form of crawler.test.mjs: 1,000 URLs, 100 kills.
//   X402_BUILD_DIR=build/release node tests/fault/crawler.mjs [--urls N] [--kills N] [--seed N]
import {parseArgs} from 'node:util';
import {killAndResume, startWorld} from './crawler.lib.mjs';

const {values} = parseArgs({options: {urls: {type: 'string', default: '1000'}, kills: {type: 'string', default: '100'},
  seed: {type: 'string', default: '1'}}});
const world = await startWorld();
try {
  const result = await killAndResume(world, {urls: Number(values.urls), kills: Number(values.kills),
    seed: Number(values.seed), spanMs: 120, log: (line) => console.error(line)});
  console.log(JSON.stringify(result));
  const good = result.urls === Number(values.urls) && result.paid === result.urls && result.unknown === 0 &&
    result.files === result.delivered;
  console.log(good ? 'each URL paid once; chain and journal agree' : 'NOT as it should be');
  process.exitCode = good ? 0 : 1;
} finally {
  await world.stop();
}
