// `?present=1`, for a lecture hall: no controls, large text (present.css), and a small link that leaves it.
if (new URL(window.location).searchParams.get('present') === '1') {
  document.documentElement.classList.add('present');
  // A class: in a media rule of present.css, served through Gradio, these variables had no effect.
  document.documentElement.classList.toggle('projector', window.innerWidth >= 1700);
  const leave = document.createElement('a');
  leave.id = 'leave';
  leave.textContent = 'Leave presentation';
  leave.href = '?';
  leave.addEventListener('click', (event) => {
    event.preventDefault();
    const url = new URL(window.location);
    url.searchParams.delete('present');
    window.location.assign(url);
  });
  const show = () => document.body.append(leave);
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', show); else show();
}
