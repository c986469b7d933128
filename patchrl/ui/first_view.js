// Story's words (first_view.py) stand in its place until the page has them too.
new MutationObserver((_, place) => {
  const view = document.getElementById('first-view'), story = document.getElementById('story');
  if (document.querySelector('#story-sentence p')) { place.disconnect(); view.remove(); return; }
  if (!story || !document.querySelector('#status .prose > *')) return;  // else what stands above it would move twice
  view.querySelector('header')?.remove();
  view.style.top = `${story.getBoundingClientRect().top + window.scrollY}px`;
}).observe(document, {childList: true, subtree: true});
